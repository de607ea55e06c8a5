// Package store opens SQLite databases through database/sql.
package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// memories numbers the in-memory databases of this process, so that two parts
// (or two tests) never share one by accident.
var memories atomic.Int64

// DB is an open database whose connections all exist already.
type DB struct {
	*sql.DB
	keeper *sql.Conn // an in-memory database lives while a connection does
}

// Open opens the database at path, or a new one in memory when path is empty,
// with exactly conns connections for requests.
//
// Memory uses SQLite's memdb file system instead of a shared cache: its locks
// obey busy_timeout, while a shared cache answers "table is locked" at once.
// Files use a write-ahead log: readers never wait for the one writer.
// All connections are made here, so that no request pays for (or is traced
// with) a connect.
func Open(ctx context.Context, path string, conns int) (*DB, error) {
	pool, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(conns + 1)
	pool.SetMaxIdleConns(conns + 1)
	opened := make([]*sql.Conn, 0, conns+1)
	for range conns + 1 {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, fmt.Errorf("open database %q: %w", path, errors.Join(err, pool.Close()))
		}
		opened = append(opened, conn)
	}
	for _, conn := range opened[1:] {
		if err := conn.Close(); err != nil { // back into the pool, still open
			return nil, errors.Join(err, pool.Close())
		}
	}
	return &DB{DB: pool, keeper: opened[0]}, nil
}

// Close closes every connection; a database in memory is gone then.
func (db *DB) Close() error {
	return errors.Join(db.keeper.Close(), db.DB.Close())
}

// Rebuild makes the tables anew and fills each one with its rows: the data is
// what the seed says, whatever an earlier run left in the file. The rows go in
// as one JSON argument per table, so that starting costs a handful of
// statements instead of thousands.
func (db *DB) Rebuild(ctx context.Context, schema string, fills []Fill) error {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	for _, fill := range fills {
		rows, err := json.Marshal(fill.Rows)
		if err != nil {
			return fmt.Errorf("encode rows: %w", err)
		}
		if _, err := db.ExecContext(ctx, fill.Insert, string(rows)); err != nil {
			return fmt.Errorf("fill tables: %w", err)
		}
	}
	return nil
}

// Fill is one table's data: Insert selects from json_each(?) over Rows.
type Fill struct {
	Insert string
	Rows   any
}

// dsn is the driver's name for path. Transactions begin IMMEDIATE: they take
// the write lock while they can still wait for it.
func dsn(path string) string {
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)"},
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: path}
	if path == "" {
		name.Path = fmt.Sprintf("/shop-%d", memories.Add(1))
		query.Set("vfs", "memdb")
	} else {
		query["_pragma"] = append(query["_pragma"], "journal_mode(WAL)", "synchronous(NORMAL)")
	}
	name.RawQuery = query.Encode()
	return name.String()
}
