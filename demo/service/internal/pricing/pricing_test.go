package pricing

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/shop/internal/pricing/pricingpb"
	"shop.example/shop/internal/seeded"
)

func TestQuote(t *testing.T) {
	server, unit := New(1, 10), seeded.UnitCents(1, 5)
	for quantity, want := range map[int32]int64{1: unit, 9: 9 * unit, 10: 9 * unit, 20: 18 * unit} {
		price, err := server.Quote(t.Context(), &pricingpb.QuoteRequest{EventId: 5, Quantity: quantity})
		if err != nil || price.GetTotalCents() != want {
			t.Errorf("%d tickets cost %d, %v; want %d", quantity, price.GetTotalCents(), err, want)
		}
	}
}

func TestQuoteRefuses(t *testing.T) {
	server := New(1, 10)
	for want, ask := range map[codes.Code]*pricingpb.QuoteRequest{
		codes.InvalidArgument: {EventId: 5, Quantity: -1},
		codes.NotFound:        {EventId: seeded.EventCount + 1, Quantity: 1},
	} {
		if _, err := server.Quote(t.Context(), ask); status.Code(err) != want {
			t.Errorf("Quote(%v) = %v, want %v", ask, err, want)
		}
	}
}

// TestKnobChangesWorkNotPrices.
func TestKnobChangesWorkNotPrices(t *testing.T) {
	ask := &pricingpb.QuoteRequest{EventId: 5, Quantity: 2}
	cheap, _ := New(1, 0).Quote(t.Context(), ask)
	dear, _ := New(1, 1000).Quote(t.Context(), ask)
	again, _ := New(1, 1000).Quote(t.Context(), ask)
	if cheap.GetTotalCents() != dear.GetTotalCents() {
		t.Errorf("the price is %d or %d", cheap.GetTotalCents(), dear.GetTotalCents())
	}
	if cheap.GetToken() == dear.GetToken() || dear.GetToken() != again.GetToken() {
		t.Errorf("tokens %s %s %s do not follow from the work done", cheap.GetToken(), dear.GetToken(), again.GetToken())
	}
}

func BenchmarkQuote(b *testing.B) {
	server, ask := New(1, 100), &pricingpb.QuoteRequest{EventId: 5, Quantity: 2}
	for b.Loop() {
		if _, err := server.Quote(b.Context(), ask); err != nil {
			b.Fatal(err)
		}
	}
}
