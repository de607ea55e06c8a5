package seeded

import (
	"reflect"
	"testing"
)

func TestSameSeedSameData(t *testing.T) {
	if !reflect.DeepEqual(Events(7), Events(7)) || !reflect.DeepEqual(Venues(7), Venues(7)) ||
		!reflect.DeepEqual(Sales(7), Sales(7)) || UnitCents(7, 3) != UnitCents(7, 3) {
		t.Error("seed 7 gives different data the second time")
	}
	if reflect.DeepEqual(Events(7), Events(8)) || reflect.DeepEqual(Sales(7), Sales(8)) {
		t.Error("seeds 7 and 8 give the same data")
	}
}

// TestKnownData pins the data itself: other machines and Go versions must agree.
func TestKnownData(t *testing.T) {
	want := Event{ID: 3, Title: "Modern kernels Days", Topic: "kernels", VenueID: 8, Day: 163}
	if got := Events(1)[2]; got != want {
		t.Errorf("third event of seed 1 is %+v, want %+v", got, want)
	}
	if got := UnitCents(1, 7); got != 35910 {
		t.Errorf("event 7 of seed 1 costs %d, want 35910", got)
	}
}

// TestTopics: the reference spans rely on every topic having more than 10 events.
func TestTopics(t *testing.T) {
	count := map[string]int{}
	for _, event := range Events(5) {
		count[event.Topic]++
	}
	for _, topic := range topics {
		if count[topic] != EventCount/len(topics) {
			t.Errorf("topic %s has %d events", topic, count[topic])
		}
	}
}
