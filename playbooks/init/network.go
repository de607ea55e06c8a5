package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// QEMU's user-mode network is the same for every machine, so no DHCP: its
// round trips would be a tenth of the boot.
var (
	guestAddress = [4]byte{10, 0, 2, 15}
	guestMask    = [4]byte{255, 255, 255, 0}
	gateway      = [4]byte{10, 0, 2, 2}
	loopback     = [4]byte{127, 0, 0, 1}
	loopbackMask = [4]byte{255, 0, 0, 0}
)

// interfaceRequest is struct ifreq with an address; flagsRequest with flags.
type interfaceRequest struct {
	name [16]byte
	addr syscall.RawSockaddrInet4
	_    [8]byte
}

type flagsRequest struct {
	name  [16]byte
	flags uint16
	_     [22]byte
}

// routeEntry is struct rtentry on 64-bit Linux.
type routeEntry struct {
	_       uint64
	dst     syscall.RawSockaddrInet4
	gateway syscall.RawSockaddrInet4
	mask    syscall.RawSockaddrInet4
	flags   uint16
	_       int16
	_       uint32
	_       uint64
	_       uint64
	metric  int16
	_       [6]byte
	dev     uintptr
	mtu     uint64
	window  uint64
	irtt    uint16
	_       [6]byte
}

// configureNetwork brings up lo and eth0. A machine without a network card is
// still a machine (the serial log and the heartbeat work), so eth0's absence
// is told, not fatal.
func configureNetwork() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	if err := bringUp(socket, "lo", loopback, loopbackMask); err != nil {
		return err
	}
	if err := bringUp(socket, "eth0", guestAddress, guestMask); err != nil {
		fmt.Println("lab-init:", err)
		return nil
	}
	return addDefaultRoute(socket)
}

func bringUp(socket int, name string, address, mask [4]byte) error {
	request := interfaceRequest{addr: internet(address)}
	copy(request.name[:15], name)
	if err := control(socket, syscall.SIOCSIFADDR, unsafe.Pointer(&request)); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	request.addr = internet(mask)
	if err := control(socket, syscall.SIOCSIFNETMASK, unsafe.Pointer(&request)); err != nil {
		return fmt.Errorf("netmask of %s: %w", name, err)
	}
	flags := flagsRequest{name: request.name}
	if err := control(socket, syscall.SIOCGIFFLAGS, unsafe.Pointer(&flags)); err != nil {
		return fmt.Errorf("flags of %s: %w", name, err)
	}
	flags.flags |= syscall.IFF_UP | syscall.IFF_RUNNING
	if err := control(socket, syscall.SIOCSIFFLAGS, unsafe.Pointer(&flags)); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}

func addDefaultRoute(socket int) error {
	route := routeEntry{
		dst:     internet([4]byte{}),
		gateway: internet(gateway),
		mask:    internet([4]byte{}),
		flags:   syscall.RTF_UP | syscall.RTF_GATEWAY,
	}
	if err := control(socket, syscall.SIOCADDRT, unsafe.Pointer(&route)); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return nil
}

func internet(address [4]byte) syscall.RawSockaddrInet4 {
	return syscall.RawSockaddrInet4{Family: syscall.AF_INET, Addr: address}
}

func control(socket int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
