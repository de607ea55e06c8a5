package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func copySeed() error { return copyTree(seedDir, newRoot) }

// copyTree lays the directories and regular files under from over to, with
// their modes. Files are replaced by rename, so that a machine killed here
// never boots with half a host key.
func copyTree(from, to string) error {
	if _, err := os.Stat(from); os.IsNotExist(err) {
		return nil
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			if err := syscall.Mkdir(target, uint32(info.Mode().Perm())); err != nil && err != syscall.EEXIST {
				return err
			}
			return nil
		case info.Mode().IsRegular():
			return copyFile(path, target, info.Mode().Perm())
		}
		return nil
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	temporary := to + ".seed"
	_ = os.Remove(temporary)
	target, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err = io.Copy(target, source); err == nil {
		err = target.Chmod(mode)
	}
	if closed := target.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary, to)
}
