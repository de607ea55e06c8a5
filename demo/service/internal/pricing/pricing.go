// Package pricing is the part that knows what a ticket costs (gRPC).
package pricing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/shop/internal/params"
	"shop.example/shop/internal/pricing/pricingpb"
	"shop.example/shop/internal/seeded"
)

// MaxRounds bounds the CPU knob, and maxList the events of one stream.
const (
	MaxRounds = 10_000_000
	maxList   = 100
)

// groupSize tickets or more cost groupPercent of the price each.
const (
	groupSize    = 10
	groupPercent = 90
)

// Server answers pricing calls. It keeps no state.
type Server struct {
	pricingpb.UnimplementedPricingServer
	seed   int64
	rounds int
}

// New returns a Server whose every price costs rounds SHA-256 digests of CPU.
func New(seed int64, rounds int) *Server { return &Server{seed: seed, rounds: rounds} }

// Quote prices one order line.
func (s *Server) Quote(_ context.Context, ask *pricingpb.QuoteRequest) (*pricingpb.Price, error) {
	if err := params.Quantity(ask.GetQuantity()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return s.price(ask.GetEventId(), ask.GetQuantity())
}

// PriceList streams one ticket's price of each event, in the order asked.
func (s *Server) PriceList(ask *pricingpb.PriceListRequest, stream grpc.ServerStreamingServer[pricingpb.Price]) error {
	if len(ask.GetEventIds()) > maxList {
		return status.Errorf(codes.InvalidArgument, "at most %d events at a time", maxList)
	}
	for _, id := range ask.GetEventIds() {
		price, err := s.price(id, 1)
		if err != nil {
			return err
		}
		if err := stream.Send(price); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) price(eventID int64, quantity int32) (*pricingpb.Price, error) {
	if eventID < 1 || eventID > seeded.EventCount {
		return nil, status.Errorf(codes.NotFound, "no event %d", eventID)
	}
	unit := seeded.UnitCents(s.seed, eventID)
	total := unit * int64(quantity)
	if quantity >= groupSize {
		total = total * groupPercent / 100
	}
	return &pricingpb.Price{
		EventId:    eventID,
		UnitCents:  unit,
		TotalCents: total,
		Token:      s.token(eventID, quantity),
	}, nil
}

// token is where the CPU goes: a chain of digests that ends in the quote's name.
func (s *Server) token(eventID int64, quantity int32) string {
	var question [20]byte
	binary.LittleEndian.PutUint64(question[0:], uint64(s.seed))
	binary.LittleEndian.PutUint64(question[8:], uint64(eventID))
	binary.LittleEndian.PutUint32(question[16:], uint32(quantity))
	digest := sha256.Sum256(question[:])
	for range s.rounds {
		digest = sha256.Sum256(digest[:])
	}
	return hex.EncodeToString(digest[:8])
}
