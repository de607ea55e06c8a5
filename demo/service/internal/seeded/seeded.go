// Package seeded makes the shop's data: the same seed gives the same events,
// venues and prices in every process, on every machine, with no clock involved.
package seeded

import (
	"fmt"
	"math/rand/v2"
)

// How much there is. Every topic is shared by EventCount/len(topics) events,
// so a search for one topic always finds the same number.
const (
	EventCount = 200
	VenueCount = 12
	SalesDays  = 30
)

var (
	topics = []string{"tracing", "compilers", "kernels", "databases", "networks", "security", "gardens", "storage", "testing", "design"}
	moods  = []string{"Practical", "Modern", "Honest", "Applied", "Quiet", "Serious", "Hands-on", "Everyday"}
	forms  = []string{"Days", "Conference", "Summit", "Workshop", "Meetup"}
	cities = []string{"Aarhus", "Bergen", "Cork", "Dresden", "Essen", "Ghent", "Graz", "Leeds", "Malaga", "Nantes", "Porto", "Turku"}
)

// Venue is a place where events happen.
type Venue struct {
	ID    int64  `json:"id"`
	City  string `json:"city"`
	Seats int    `json:"seats"`
}

// Event is one conference that sells tickets.
type Event struct {
	ID      int64  `json:"id"`
	Title   string `json:"title"`
	Topic   string `json:"topic"`
	VenueID int64  `json:"venue_id"`
	Day     int    `json:"day"` // day of the year
}

// Sale is what one event sold on one day before the shop opened.
type Sale struct {
	EventID int64 `json:"event_id"`
	Day     int   `json:"day"`
	Tickets int   `json:"tickets"`
}

// source gives every kind of data its own stream, so that adding to one does
// not change the others.
func source(seed int64, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(seed), stream))
}

// Venues lists all venues, ids 1…VenueCount.
func Venues(seed int64) []Venue {
	r := source(seed, 1)
	venues := make([]Venue, VenueCount)
	for i := range venues {
		venues[i] = Venue{ID: int64(i + 1), City: cities[i%len(cities)], Seats: 50 * (1 + r.IntN(40))}
	}
	return venues
}

// Events lists all events, ids 1…EventCount.
func Events(seed int64) []Event {
	r := source(seed, 2)
	events := make([]Event, EventCount)
	for i := range events {
		topic := topics[i%len(topics)]
		events[i] = Event{
			ID:      int64(i + 1),
			Title:   fmt.Sprintf("%s %s %s", moods[r.IntN(len(moods))], topic, forms[r.IntN(len(forms))]),
			Topic:   topic,
			VenueID: int64(1 + r.IntN(VenueCount)),
			Day:     1 + r.IntN(365),
		}
	}
	return events
}

// Sales lists the past sales of all events over SalesDays days.
func Sales(seed int64) []Sale {
	r := source(seed, 3)
	sales := make([]Sale, 0, EventCount*SalesDays)
	for id := int64(1); id <= EventCount; id++ {
		for day := 1; day <= SalesDays; day++ {
			sales = append(sales, Sale{EventID: id, Day: day, Tickets: r.IntN(60)})
		}
	}
	return sales
}

// UnitCents is the price of one ticket: 50.00 to 499.99.
func UnitCents(seed, eventID int64) int64 {
	r := source(seed, 4+uint64(eventID))
	return 5_000 + r.Int64N(45_000)
}
