// Command lab-sink receives OTLP/HTTP traces and writes one JSON line per span.
//
// It keeps nothing in memory but counts, so it can run through any load; what arrives is on disk,
// with its time of arrival, and what could not be read is counted and told. Whoever looks on gets each
// span as it arrives.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drainLimit bounds the wait for posts in flight after SIGTERM.
const drainLimit = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run serves until ctx ends. Exit codes: 0 drained and closed, 1 a file or socket failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("lab-sink", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:4318", "`address` to listen on; port 0 takes a free one")
	out := flags.String("out", "", "gzip `file` of spans, one JSON object per line; must not exist")
	maxSpan := flags.Int("max-span-bytes", 256<<10, "longest line written; a longer span loses its attributes and is counted as dropped_attributes")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *out == "" || *maxSpan < 1024 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "lab-sink: --out FILE is required, --max-span-bytes is at least 1024, and there are no other arguments")
		return 2
	}
	if err := serve(ctx, *listen, *out, *maxSpan, stdout); err != nil {
		fmt.Fprintln(stderr, "lab-sink:", err)
		return 1
	}
	return 0
}

// serve listens, prints where, and on the end of ctx answers what is in flight and closes the file.
func serve(ctx context.Context, address, out string, maxSpan int, stdout io.Writer) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	store, err := openStore(out, maxSpan)
	if err != nil {
		listener.Close()
		return err
	}
	server := &http.Server{Handler: newHandler(store), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	server.RegisterOnShutdown(store.endFollowers)
	line, err := json.Marshal(map[string]string{"listening": listener.Addr().String()})
	if err == nil {
		_, err = fmt.Fprintf(stdout, "%s\n", line)
	}
	if err != nil {
		listener.Close()
		return errors.Join(err, store.close())
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case <-ctx.Done():
	case err := <-failed:
		return errors.Join(err, store.close())
	}
	drain, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	err = server.Shutdown(drain)
	return errors.Join(err, store.close())
}
