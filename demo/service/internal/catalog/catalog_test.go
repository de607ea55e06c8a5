package catalog

import (
	"errors"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"shop.example/shop/internal/params"
	"shop.example/shop/internal/seeded"
)

func open(t *testing.T, path string, seed int64) *Catalog {
	t.Helper()
	catalog, err := New(t.Context(), path, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	return catalog
}

// TestListShowsEveryEventOnce, and nothing past the end.
func TestListShowsEveryEventOnce(t *testing.T) {
	catalog := open(t, "", 1)
	seen := map[int64]bool{}
	for page := 1; page <= seeded.EventCount/PageSize; page++ {
		events, err := catalog.List(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			seen[event.ID] = true
		}
	}
	if len(seen) != seeded.EventCount {
		t.Errorf("the pages show %d events, want %d", len(seen), seeded.EventCount)
	}
	if events, err := catalog.List(t.Context(), params.MaxPage); err != nil || len(events) != 0 {
		t.Errorf("the last possible page is %v, %v", events, err)
	}
}

func TestGet(t *testing.T) {
	catalog := open(t, "", 1)
	want := seeded.Events(1)[41]
	got, err := catalog.Get(t.Context(), 42)
	if err != nil || got.Title != want.Title || got.Day != want.Day {
		t.Errorf("Get(42) = %+v, %v; want %+v", got, err, want)
	}
	if _, err := catalog.Get(t.Context(), seeded.EventCount+1); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of no event = %v", err)
	}
}

// TestVariantsFindTheSame: the bad way differs in its statements only.
func TestVariantsFindTheSame(t *testing.T) {
	catalog := open(t, "", 1)
	for query, hits := range map[string]int{"kernels": PageSize, "Summit": PageSize, "no such thing": 0, "%": 0, "_": 0, `\`: 0, "'": 0} {
		good, err := catalog.Search(t.Context(), params.Search{Query: query})
		if err != nil {
			t.Fatal(err)
		}
		bad, err := catalog.Search(t.Context(), params.Search{Query: query, NPlusOne: true})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(good, bad) || len(good) != hits {
			t.Errorf("%q finds %d and %d events, want %d", query, len(good), len(bad), hits)
		}
	}
}

// TestReportAgreesWithTheData, computed here without SQL.
func TestReportAgreesWithTheData(t *testing.T) {
	sold := map[int64]int64{}
	for _, sale := range seeded.Sales(1) {
		sold[sale.EventID] += int64(sale.Tickets)
	}
	sellers, err := open(t, "", 1).Report(t.Context())
	if err != nil || len(sellers) != PageSize {
		t.Fatalf("Report = %v, %v", sellers, err)
	}
	for i, seller := range sellers {
		if seller.Sold != sold[seller.EventID] {
			t.Errorf("event %d sold %d, want %d", seller.EventID, seller.Sold, sold[seller.EventID])
		}
		if i > 0 && seller.Sold > sellers[i-1].Sold {
			t.Errorf("line %d sold more than the line above", i+1)
		}
	}
}

// TestReadersDoNotLockEachOther, in memory or in a file.
func TestReadersDoNotLockEachOther(t *testing.T) {
	for name, path := range map[string]string{"memory": "", "file": filepath.Join(t.TempDir(), "c.db")} {
		t.Run(name, func(t *testing.T) {
			catalog := open(t, path, 1)
			var all sync.WaitGroup
			for range 2 * readers {
				all.Go(func() {
					for range 5 {
						if _, err := catalog.Report(t.Context()); err != nil {
							t.Error(err)
						}
						if _, err := catalog.List(t.Context(), 3); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
