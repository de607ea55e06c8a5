// Package orders is the part that sells tickets (gRPC, SQL transactions).
package orders

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/shop/internal/orders/orderspb"
	"shop.example/shop/internal/params"
	"shop.example/shop/internal/seeded"
	"shop.example/shop/internal/store"
)

const (
	schema = `DROP TABLE IF EXISTS orders; DROP TABLE IF EXISTS stock;
CREATE TABLE stock (event_id INTEGER PRIMARY KEY, remaining INTEGER NOT NULL CHECK (remaining >= 0));
CREATE TABLE orders (id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, quantity INTEGER NOT NULL,
	customer TEXT NOT NULL, total_cents INTEGER NOT NULL)`
	fillStock   = `INSERT INTO stock SELECT value ->> 'event_id', value ->> 'remaining' FROM json_each(?)`
	takeTickets = `UPDATE stock SET remaining = remaining - ? WHERE event_id = ? AND remaining >= ?`
	insertOrder = `INSERT INTO orders (event_id, quantity, customer, total_cents) VALUES (?, ?, ?, ?)`
)

// writers is one, since SQLite has one writer anyway: waiting for it in the
// connection pool is fair and exact, polling for the file lock is neither.
const writers = 1

// Server answers order calls.
type Server struct {
	orderspb.UnimplementedOrdersServer
	db     *store.DB
	insert *sql.Stmt // prepared once, used in every transaction
}

// New opens the orders database at path (in memory when empty) and fills it
// with stock tickets for every event.
func New(ctx context.Context, path string, stock int) (*Server, error) {
	db, err := store.Open(ctx, path, writers)
	if err != nil {
		return nil, err
	}
	insert, err := prepare(ctx, db, stock)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Server{db: db, insert: insert}, nil
}

func prepare(ctx context.Context, db *store.DB, stock int) (*sql.Stmt, error) {
	type row struct {
		EventID   int64 `json:"event_id"`
		Remaining int   `json:"remaining"`
	}
	rows := make([]row, seeded.EventCount)
	for i := range rows {
		rows[i] = row{EventID: int64(i + 1), Remaining: stock}
	}
	if err := db.Rebuild(ctx, schema, []store.Fill{{Insert: fillStock, Rows: rows}}); err != nil {
		return nil, err
	}
	return db.PrepareContext(ctx, insertOrder)
}

// Close closes the database; no call may be running.
func (s *Server) Close() error { return errors.Join(s.insert.Close(), s.db.Close()) }

// Place takes the tickets and books the order, or does neither.
func (s *Server) Place(ctx context.Context, ask *orderspb.PlaceRequest) (*orderspb.Order, error) {
	order := params.Checkout{Event: ask.GetEventId(), Quantity: ask.GetQuantity(), Customer: ask.GetCustomer()}
	if err := order.Validate(); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if ask.GetTotalCents() < 0 {
		return nil, status.Error(codes.InvalidArgument, "total must not be negative")
	}
	id, err := s.book(ctx, order, ask.GetTotalCents())
	switch {
	case err == nil:
		return &orderspb.Order{Id: id}, nil
	case errors.Is(err, errSoldOut):
		return nil, status.Errorf(codes.FailedPrecondition, "event %d is sold out", order.Event)
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	default:
		return nil, status.Error(codes.Internal, err.Error())
	}
}

// errSoldOut is also the answer for an event that has no stock at all.
var errSoldOut = errors.New("sold out")

func (s *Server) book(ctx context.Context, order params.Checkout, totalCents int64) (id int64, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // does nothing after a commit

	taken, err := tx.ExecContext(ctx, takeTickets, order.Quantity, order.Event, order.Quantity)
	if err != nil {
		return 0, fmt.Errorf("take tickets: %w", err)
	}
	if rows, err := taken.RowsAffected(); err != nil {
		return 0, fmt.Errorf("take tickets: %w", err)
	} else if rows == 0 {
		return 0, errSoldOut
	}
	booked, err := tx.StmtContext(ctx, s.insert).ExecContext(ctx, order.Event, order.Quantity, order.Customer, totalCents)
	if err != nil {
		return 0, fmt.Errorf("book order: %w", err)
	}
	if id, err = booked.LastInsertId(); err != nil {
		return 0, fmt.Errorf("book order: %w", err)
	}
	return id, tx.Commit()
}
