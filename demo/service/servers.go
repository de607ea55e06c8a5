package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// Limits that keep a stuck or hostile caller from holding resources. bodyTimeout
// must exceed the longest handler (params.MaxSlow): net/http cancels a request's
// context when the deadline for reading passes, even after the body is read.
const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 45 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	maxMessage     = 64 << 10
)

// drainShare of the stop's time goes to one server's open requests at most, so
// that a slow one leaves time for the others.
const drainShare = 0.6

// serveHTTP listens at addr, serves handler there and returns the real address.
func (s *shop) serveHTTP(part, addr string, handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("%s: %w", part, err)
		}
	}()
	s.onStop(func(ctx context.Context) error {
		drain, cancel := context.WithDeadline(ctx, drainEnd(ctx))
		defer cancel()
		err := server.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close() // cuts the open requests off
		}
		<-done
		return err
	})
	s.listening[part] = listener.Addr().String()
	return listener.Addr().String(), nil
}

// serveGRPC listens at addr, serves what register registers there and returns
// the real address.
func (s *shop) serveGRPC(part, addr string, register func(*grpc.Server)) (string, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); err != nil {
			s.failed <- fmt.Errorf("%s: %w", part, err)
		}
	}()
	s.onStop(func(ctx context.Context) error {
		cut := time.AfterFunc(time.Until(drainEnd(ctx)), server.Stop)
		defer cut.Stop()
		server.GracefulStop()
		<-done
		return nil
	})
	s.listening[part] = listener.Addr().String()
	return listener.Addr().String(), nil
}

// drainEnd is when draining one server ends: drainShare of the time ctx has left.
func drainEnd(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Now()
	}
	left := time.Until(deadline)
	return time.Now().Add(time.Duration(float64(left) * drainShare))
}
