package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"shop.example/shop/internal/delay"
	"shop.example/shop/internal/faults"
	"shop.example/shop/internal/pricing"
)

// The parts of a shop; "all" runs every one of them.
const (
	partGateway = "gateway"
	partCatalog = "catalog"
	partPricing = "pricing"
	partOrders  = "orders"
	partsAll    = "all"
)

var commands = []string{partsAll, partGateway, partCatalog, partPricing, partOrders}

// options is a parsed command line.
type options struct {
	command     string
	gatewayAddr string // own part: where to listen; another: where it listens
	catalogAddr string
	pricingAddr string
	ordersAddr  string
	db          string
	seed        int64
	priceRounds int
	stock       int
	delay       delay.Delay
	faults      faults.Plan
}

// runs reports whether this process runs the part.
func (o options) runs(part string) bool { return o.command == partsAll || o.command == part }

// usageError is a command line that makes no sense.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// parse reads a command line. Help goes to help and gives flag.ErrHelp.
func parse(args []string, help io.Writer) (options, error) {
	if len(args) == 0 || !slices.Contains(commands, args[0]) {
		if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
			fmt.Fprintf(help, "usage: shop %s|version [flags]\nshop all -h shows the flags\n", strings.Join(commands, "|"))
			return options{}, flag.ErrHelp
		}
		return options{}, usageError{"the first argument must be one of " + strings.Join(commands, ", ") + ", version"}
	}
	opts := options{command: args[0]}
	set := flags(&opts)
	err := set.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(help, "usage: shop %s [flags]\n", opts.command)
		set.SetOutput(help)
		set.PrintDefaults()
		return options{}, err
	case err != nil:
		return options{}, usageError{err.Error() + "; shop " + opts.command + " -h shows the flags"}
	case set.NArg() > 0:
		return options{}, usageError{fmt.Sprintf("unexpected argument %q", set.Arg(0))}
	}
	opts.faults.Seed = opts.seed
	if err := opts.validate(); err != nil {
		return options{}, usageError{err.Error()}
	}
	return opts, nil
}

// flags declares what opts.command takes: a flag it has no use for is an error.
func flags(opts *options) *flag.FlagSet {
	set := flag.NewFlagSet(opts.command, flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are returned, and shown once
	gateway, catalog := opts.runs(partGateway), opts.runs(partCatalog)
	pricing, orders := opts.runs(partPricing), opts.runs(partOrders)

	if gateway {
		set.StringVar(&opts.gatewayAddr, "http", "127.0.0.1:8080", "`address` of the gateway")
		set.DurationVar(&opts.delay.CPU, "delay-cpu", 0, "CPU `time` to burn per request")
		set.DurationVar(&opts.delay.Wait, "delay-wait", 0, "`time` to wait per request")
		set.Float64Var(&opts.faults.ErrorPercent, "inject-error-pct", 0, "`percentage` of requests to fail with 503")
		set.DurationVar(&opts.faults.Latency, "inject-latency", 0, "mean extra `time` per request (0.5 to 1.5 of it)")
	}
	if gateway || catalog {
		set.StringVar(&opts.catalogAddr, "catalog-http", "127.0.0.1:8081", "`address` of the catalog")
	}
	if gateway || pricing {
		set.StringVar(&opts.pricingAddr, "pricing-grpc", "127.0.0.1:9081", "`address` of pricing")
	}
	if gateway || orders {
		set.StringVar(&opts.ordersAddr, "orders-grpc", "127.0.0.1:9082", "`address` of orders")
	}
	if catalog || orders {
		set.StringVar(&opts.db, "db", "", "database `file`, made anew at every start (default: in memory)")
	}
	if orders {
		set.IntVar(&opts.stock, "stock", 100_000_000, "`tickets` of each event")
	}
	if pricing {
		set.IntVar(&opts.priceRounds, "price-rounds", 100, "`digests` each price costs: the CPU knob")
	}
	set.Int64Var(&opts.seed, "seed", 1, "`number` that decides all data and injected faults")
	return set
}

// validate checks what the flag package cannot.
func (o options) validate() error {
	for name, addr := range map[string]string{
		"http": o.gatewayAddr, "catalog-http": o.catalogAddr, "pricing-grpc": o.pricingAddr, "orders-grpc": o.ordersAddr,
	} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("--%s must be host:port, not %q", name, addr)
		}
	}
	if o.priceRounds < 0 || o.priceRounds > pricing.MaxRounds {
		return fmt.Errorf("--price-rounds must be 0 to %d", pricing.MaxRounds)
	}
	if o.stock < 0 {
		return errors.New("--stock must not be negative")
	}
	if err := o.delay.Validate(); err != nil {
		return err
	}
	return o.faults.Validate()
}

// form is which form of the shop this is, told by the environment.
func form() string { return os.Getenv("LAB_FORM") }
