// Package gateway is the shop's public HTTP API. It owns no data worth
// mentioning: it asks the other parts and puts their answers together.
package gateway

import (
	"net/http"
	"time"

	"google.golang.org/grpc"

	"shop.example/shop/internal/delay"
	"shop.example/shop/internal/faults"
	"shop.example/shop/internal/orders/orderspb"
	"shop.example/shop/internal/pricing/pricingpb"
	"shop.example/shop/internal/seeded"
)

// downstreamTimeout bounds every call to another part. For gRPC it is part of
// the connection's service config, so that calls get the request's own context.
const (
	downstreamTimeout = 5 * time.Second
	serviceConfig     = `{"methodConfig":[{"name":[{}],"timeout":"5s"}]}`
)

// idleConns is more than the requests we expect in flight: a call should reuse
// a connection, not make one.
const idleConns = 512

// Config says where the other parts are and how the gateway behaves.
type Config struct {
	CatalogAddr string // host:port
	PricingAddr string
	OrdersAddr  string
	Seed        int64
	BuildID     string // shown in X-Lab-Build; empty leaves it out
	Form        string // shown in X-Lab-Form; empty leaves it out
	Delay       delay.Delay
	Faults      faults.Plan
}

// Gateway answers the shop's customers.
type Gateway struct {
	config   Config
	injector *faults.Injector
	venues   []seeded.Venue
	catalog  *catalogClient
	grpc     []*grpc.ClientConn
	pricing  pricingpb.PricingClient
	orders   orderspb.OrdersClient
}

// New returns a Gateway. The other parts need not run yet: GET /readyz tells
// when they do.
func New(config Config) (*Gateway, error) {
	pricing, err := dial(config.PricingAddr)
	if err != nil {
		return nil, err
	}
	orders, err := dial(config.OrdersAddr)
	if err != nil {
		return nil, err
	}
	return &Gateway{
		config:   config,
		injector: faults.New(config.Faults),
		venues:   seeded.Venues(config.Seed),
		catalog:  newCatalogClient(config.CatalogAddr),
		grpc:     []*grpc.ClientConn{pricing, orders},
		pricing:  pricingpb.NewPricingClient(pricing),
		orders:   orderspb.NewOrdersClient(orders),
	}, nil
}

// Close closes the connections to the other parts.
func (g *Gateway) Close() error {
	g.catalog.http.CloseIdleConnections()
	for _, conn := range g.grpc {
		if err := conn.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Handler serves the shop's routes.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", g.ready)
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /events":      g.browse,
		"GET /events/{id}": g.get,
		"GET /search":      g.search,
		"POST /checkout":   g.checkout,
		"GET /report":      g.report,
		"GET /venues":      g.listVenues,
		"GET /fail":        g.fail,
		"GET /slow":        g.slow,
	} {
		mux.HandleFunc(pattern, g.disturbed(handle))
	}
	return g.labelled(mux)
}
