package orders

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/shop/internal/orders/orderspb"
)

func open(t *testing.T, path string, stock int) *Server {
	t.Helper()
	server, err := New(t.Context(), path, stock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func count(t *testing.T, s *Server, query string) (n int64) {
	t.Helper()
	if err := s.db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestStockIsNeverOversold: many buyers at once get exactly what there is.
func TestStockIsNeverOversold(t *testing.T) {
	for name, path := range map[string]string{"memory": "", "file": filepath.Join(t.TempDir(), "o.db")} {
		t.Run(name, func(t *testing.T) {
			server := open(t, path, 30)
			var buyers sync.WaitGroup
			for range 40 {
				buyers.Go(func() {
					_, err := server.Place(t.Context(), &orderspb.PlaceRequest{EventId: 1, Quantity: 2, Customer: "Ada"})
					if code := status.Code(err); code != codes.OK && code != codes.FailedPrecondition {
						t.Error(err)
					}
				})
			}
			buyers.Wait()
			if n := count(t, server, "SELECT COUNT(*) FROM orders"); n != 15 {
				t.Errorf("%d orders of 2, want 15", n)
			}
			if n := count(t, server, "SELECT remaining FROM stock WHERE event_id = 1"); n != 0 {
				t.Errorf("%d tickets remain, want 0", n)
			}
		})
	}
}

func TestPlaceRefuses(t *testing.T) {
	server := open(t, "", 5)
	for want, asks := range map[codes.Code][]*orderspb.PlaceRequest{
		codes.InvalidArgument: {
			nil,
			{EventId: 1, Quantity: -1, Customer: "Ada"},
			{EventId: 1, Quantity: 1, Customer: ""},
			{EventId: 1, Quantity: 1, Customer: "Ada", TotalCents: -1},
		},
		codes.FailedPrecondition: {
			{EventId: 1, Quantity: 6, Customer: "Ada"},
			{EventId: 100_000, Quantity: 1, Customer: "Ada"},
		},
	} {
		for _, ask := range asks {
			if _, err := server.Place(t.Context(), ask); status.Code(err) != want {
				t.Errorf("Place(%v) = %v, want %v", ask, err, want)
			}
		}
	}
	if n := count(t, server, "SELECT COUNT(*) FROM orders"); n != 0 {
		t.Errorf("%d orders were booked", n)
	}
}

// TestCancelledCallLeavesNothing: neither half an order nor a stuck connection.
func TestCancelledCallLeavesNothing(t *testing.T) {
	server := open(t, "", 5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ask := &orderspb.PlaceRequest{EventId: 1, Quantity: 1, Customer: "Ada"}
	if _, err := server.Place(ctx, ask); status.Code(err) != codes.Canceled {
		t.Errorf("Place = %v, want Canceled", err)
	}
	if order, err := server.Place(t.Context(), ask); err != nil || order.GetId() != 1 {
		t.Errorf("the next order is %v, %v", order, err)
	}
}

// TestRestartStartsAnew: an old database file does not change the data.
func TestRestartStartsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	for range 2 {
		server, err := New(t.Context(), path, 5)
		if err != nil {
			t.Fatal(err)
		}
		order, err := server.Place(t.Context(), &orderspb.PlaceRequest{EventId: 1, Quantity: 5, Customer: "Ada"})
		if err != nil || order.GetId() != 1 {
			t.Errorf("first order is %v, %v", order, err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
}
