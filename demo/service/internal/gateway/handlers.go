package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"shop.example/shop/internal/catalog"
	"shop.example/shop/internal/faults"
	"shop.example/shop/internal/orders/orderspb"
	"shop.example/shop/internal/params"
	"shop.example/shop/internal/pricing/pricingpb"
	"shop.example/shop/internal/reply"
)

// offer is an event with its price.
type offer struct {
	catalog.Event
	UnitCents int64 `json:"unit_cents"`
}

// receipt is what a customer gets for a checkout.
type receipt struct {
	Order      int64  `json:"order"`
	Event      string `json:"event"`
	Quantity   int32  `json:"quantity"`
	TotalCents int64  `json:"total_cents"`
	Quote      string `json:"quote"`
}

// revenue is one line of the report.
type revenue struct {
	catalog.Seller
	UnitCents int64 `json:"unit_cents"`
	Cents     int64 `json:"cents"`
}

func (g *Gateway) browse(w http.ResponseWriter, r *http.Request) {
	page, err := params.Page(r.URL.Query().Get("page"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	events, err := g.catalog.list(r.Context(), page)
	answer(w, r, http.StatusOK, events, err)
}

// get asks the catalog and pricing at the same time. It waits for both even if
// one fails, so that the work of a request does not depend on a race.
func (g *Gateway) get(w http.ResponseWriter, r *http.Request) {
	id, err := params.EventID(r.PathValue("id"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	var (
		both       sync.WaitGroup
		price      *pricingpb.Price
		pricingErr error
	)
	both.Go(func() {
		price, pricingErr = g.pricing.Quote(r.Context(), &pricingpb.QuoteRequest{EventId: id, Quantity: 1})
	})
	event, err := g.catalog.get(r.Context(), id)
	both.Wait()
	answer(w, r, http.StatusOK, offer{event, price.GetUnitCents()}, firstOf(err, pricingErr))
}

func (g *Gateway) search(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	search, err := params.ParseSearch(query.Get("q"), query.Get("variant"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	events, err := g.catalog.search(r.Context(), search)
	answer(w, r, http.StatusOK, events, err)
}

func (g *Gateway) checkout(w http.ResponseWriter, r *http.Request) {
	order, err := params.ParseCheckout(http.MaxBytesReader(w, r.Body, params.MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		reply.Error(w, http.StatusRequestEntityTooLarge, "an order is at most 4 KiB")
		return
	} else if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	done, err := g.sell(r.Context(), order)
	answer(w, r, http.StatusCreated, done, err)
}

func (g *Gateway) sell(ctx context.Context, order params.Checkout) (receipt, error) {
	event, err := g.catalog.get(ctx, order.Event)
	if err != nil {
		return receipt{}, err
	}
	price, err := g.pricing.Quote(ctx, &pricingpb.QuoteRequest{EventId: order.Event, Quantity: order.Quantity})
	if err != nil {
		return receipt{}, err
	}
	placed, err := g.orders.Place(ctx, &orderspb.PlaceRequest{
		EventId:    order.Event,
		Quantity:   order.Quantity,
		Customer:   order.Customer,
		TotalCents: price.GetTotalCents(),
	})
	if err != nil {
		return receipt{}, err
	}
	return receipt{
		Order:      placed.GetId(),
		Event:      event.Title,
		Quantity:   order.Quantity,
		TotalCents: price.GetTotalCents(),
		Quote:      price.GetToken(),
	}, nil
}

func (g *Gateway) report(w http.ResponseWriter, r *http.Request) {
	sellers, err := g.catalog.report(r.Context())
	if err != nil {
		answer(w, r, 0, nil, err)
		return
	}
	lines, err := g.priced(r.Context(), sellers)
	answer(w, r, http.StatusOK, lines, err)
}

// priced adds the prices, which come as one stream in the order of sellers.
func (g *Gateway) priced(ctx context.Context, sellers []catalog.Seller) ([]revenue, error) {
	ask := &pricingpb.PriceListRequest{}
	for _, seller := range sellers {
		ask.EventIds = append(ask.EventIds, seller.EventID)
	}
	stream, err := g.pricing.PriceList(ctx, ask)
	if err != nil {
		return nil, err
	}
	lines := make([]revenue, 0, len(sellers))
	for _, seller := range sellers {
		price, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		lines = append(lines, revenue{seller, price.GetUnitCents(), price.GetUnitCents() * seller.Sold})
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) { // read to the end, or the stream stays open
		return nil, errors.Join(errors.New("pricing sends more than was asked"), err)
	}
	return lines, nil
}

// listVenues is answered from memory: one SERVER span in any form.
func (g *Gateway) listVenues(w http.ResponseWriter, _ *http.Request) {
	reply.JSON(w, http.StatusOK, g.venues)
}

// fail always fails, as a handler with a bug would.
func (g *Gateway) fail(w http.ResponseWriter, _ *http.Request) {
	reply.Error(w, http.StatusInternalServerError, "failed on purpose")
}

// slow waits as long as it is told, or until the caller gives up.
func (g *Gateway) slow(w http.ResponseWriter, r *http.Request) {
	length, err := params.Slow(r.URL.Query().Get("ms"))
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	waited := map[string]int64{"waited_ms": length.Milliseconds()}
	answer(w, r, http.StatusOK, waited, faults.Sleep(r.Context(), length))
}
