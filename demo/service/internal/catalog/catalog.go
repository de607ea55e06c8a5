// Package catalog is the part that knows the events (HTTP, SQL).
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"shop.example/shop/internal/params"
	"shop.example/shop/internal/seeded"
	"shop.example/shop/internal/store"
)

// PageSize is the events on a page, the most a search finds, and the length of
// a report.
const PageSize = 10

// readers bounds how many statements run at once.
const readers = 8

// ErrNotFound is the answer for an event that does not exist.
var ErrNotFound = errors.New("no such event")

// Event is one event as the shop shows it.
type Event struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
	Topic string `json:"topic"`
	City  string `json:"city"`
	Day   int    `json:"day"`
}

// Seller is one line of the sales report.
type Seller struct {
	EventID int64  `json:"event_id"`
	Title   string `json:"title"`
	Sold    int64  `json:"sold"`
}

// Catalog answers from its own database, which nothing writes after the start.
type Catalog struct{ db *store.DB }

// New opens the catalog database at path (in memory when empty) and fills it
// with the seed's data.
func New(ctx context.Context, path string, seed int64) (*Catalog, error) {
	db, err := store.Open(ctx, path, readers)
	if err != nil {
		return nil, err
	}
	fills := []store.Fill{
		{Insert: fillVenues, Rows: seeded.Venues(seed)},
		{Insert: fillEvents, Rows: seeded.Events(seed)},
		{Insert: fillSales, Rows: seeded.Sales(seed)},
	}
	if err := db.Rebuild(ctx, schema, fills); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Catalog{db: db}, nil
}

// Close closes the database; no call may be running.
func (c *Catalog) Close() error { return c.db.Close() }

// List returns one page of events by day; past the last page it is empty.
func (c *Catalog) List(ctx context.Context, page int) ([]Event, error) {
	return c.events(ctx, selectPage, PageSize, (page-1)*PageSize)
}

// Get returns one event or ErrNotFound.
func (c *Catalog) Get(ctx context.Context, id int64) (Event, error) {
	event, err := scanEvent(c.db.QueryRowContext(ctx, selectEvent, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Event{}, ErrNotFound
	}
	return event, err
}

// Search returns the first events whose title or topic contains the query.
func (c *Catalog) Search(ctx context.Context, search params.Search) ([]Event, error) {
	pattern := likePattern(search.Query)
	if !search.NPlusOne {
		return c.events(ctx, selectMatches, pattern, pattern, PageSize)
	}
	ids, err := collect(ctx, c.db, scanID, selectMatchIDs, pattern, pattern, PageSize)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(ids))
	for _, id := range ids { // the well-known mistake, kept on purpose
		event, err := c.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// Report returns the best sellers, from all past sales.
func (c *Catalog) Report(ctx context.Context) ([]Seller, error) {
	return collect(ctx, c.db, scanSeller, selectSellers, PageSize)
}

func (c *Catalog) events(ctx context.Context, query string, args ...any) ([]Event, error) {
	return collect(ctx, c.db, scanEvent, query, args...)
}

// likePattern matches text anywhere, its own wildcards taken literally.
func likePattern(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}
