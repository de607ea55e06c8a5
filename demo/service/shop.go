package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"shop.example/shop/internal/catalog"
	"shop.example/shop/internal/gateway"
	"shop.example/shop/internal/orders"
	"shop.example/shop/internal/orders/orderspb"
	"shop.example/shop/internal/pricing"
	"shop.example/shop/internal/pricing/pricingpb"
)

// stopTimeout bounds the whole graceful stop.
const stopTimeout = 5 * time.Second

// run does what the command line says, until ctx ends for a service.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 1 && args[0] == "version" {
		_, err := fmt.Fprintln(stdout, buildID)
		return err
	}
	opts, err := parse(args, stdout)
	if err != nil {
		return err
	}
	return serve(ctx, opts, stdout)
}

// serve starts the parts, says where they listen in one JSON line, and stops
// them when ctx ends or one of them fails.
func serve(ctx context.Context, opts options, stdout io.Writer) error {
	s := &shop{failed: make(chan error, len(commands)), listening: map[string]string{}}
	err := s.start(ctx, opts)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(map[string]any{"listening": s.listening})
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-s.failed:
		}
	}
	return errors.Join(err, s.stop())
}

// shop is the running parts of this process.
type shop struct {
	listening map[string]string // part to its real address
	failed    chan error        // a server that ended by itself
	stops     []func(context.Context) error
}

// start starts what opts asks for, the gateway last. With port 0 in opts the
// gateway learns the ports that were really taken.
func (s *shop) start(ctx context.Context, opts options) error {
	for _, part := range []struct {
		name  string
		start func(context.Context, *options) error
	}{
		{partOrders, s.startOrders},
		{partPricing, s.startPricing},
		{partCatalog, s.startCatalog},
		{partGateway, s.startGateway},
	} {
		if !opts.runs(part.name) {
			continue
		}
		if err := part.start(ctx, &opts); err != nil {
			return fmt.Errorf("start %s: %w", part.name, err)
		}
	}
	return nil
}

// stop stops everything, the last started first, within stopTimeout. Work
// that is not done by then is cut off; that is no error.
func (s *shop) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i](ctx))
	}
	s.stops = nil
	return errors.Join(errs...)
}

// onStop adds something to stop.
func (s *shop) onStop(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

func (s *shop) startOrders(ctx context.Context, opts *options) (err error) {
	part, err := orders.New(ctx, opts.db, opts.stock)
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return part.Close() })
	opts.ordersAddr, err = s.serveGRPC(partOrders, opts.ordersAddr, func(server *grpc.Server) {
		orderspb.RegisterOrdersServer(server, part)
	})
	return err
}

func (s *shop) startPricing(_ context.Context, opts *options) (err error) {
	opts.pricingAddr, err = s.serveGRPC(partPricing, opts.pricingAddr, func(server *grpc.Server) {
		pricingpb.RegisterPricingServer(server, pricing.New(opts.seed, opts.priceRounds))
	})
	return err
}

func (s *shop) startCatalog(ctx context.Context, opts *options) error {
	part, err := catalog.New(ctx, opts.db, opts.seed)
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return part.Close() })
	opts.catalogAddr, err = s.serveHTTP(partCatalog, opts.catalogAddr, part.Handler())
	return err
}

func (s *shop) startGateway(_ context.Context, opts *options) error {
	part, err := gateway.New(gateway.Config{
		CatalogAddr: opts.catalogAddr,
		PricingAddr: opts.pricingAddr,
		OrdersAddr:  opts.ordersAddr,
		Seed:        opts.seed,
		BuildID:     buildID,
		Form:        form(),
		Delay:       opts.delay.Calibrated(),
		Faults:      opts.faults,
	})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return part.Close() })
	opts.gatewayAddr, err = s.serveHTTP(partGateway, opts.gatewayAddr, part.Handler())
	return err
}
