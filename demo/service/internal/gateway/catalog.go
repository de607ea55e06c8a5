package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"shop.example/shop/internal/catalog"
	"shop.example/shop/internal/params"
)

// maxAnswer bounds what the gateway reads from the catalog.
const maxAnswer = 1 << 20

// catalogClient asks the catalog over HTTP.
type catalogClient struct {
	addr string
	http *http.Client
}

func newCatalogClient(addr string) *catalogClient {
	transport := &http.Transport{MaxIdleConns: idleConns, MaxIdleConnsPerHost: idleConns}
	return &catalogClient{addr: addr, http: &http.Client{Transport: transport, Timeout: downstreamTimeout}}
}

func (c *catalogClient) list(ctx context.Context, page int) (events []catalog.Event, err error) {
	err = c.ask(ctx, "/catalog/events", url.Values{"page": {strconv.Itoa(page)}}, &events)
	return events, err
}

func (c *catalogClient) get(ctx context.Context, id int64) (event catalog.Event, err error) {
	err = c.ask(ctx, "/catalog/events/"+strconv.FormatInt(id, 10), nil, &event)
	return event, err
}

func (c *catalogClient) search(ctx context.Context, search params.Search) (events []catalog.Event, err error) {
	query := url.Values{"q": {search.Query}}
	if search.NPlusOne {
		query.Set("variant", "nplus1")
	}
	err = c.ask(ctx, "/catalog/search", query, &events)
	return events, err
}

func (c *catalogClient) report(ctx context.Context) (sellers []catalog.Seller, err error) {
	err = c.ask(ctx, "/catalog/report", nil, &sellers)
	return sellers, err
}

// ask gets path and decodes the answer into value.
func (c *catalogClient) ask(ctx context.Context, path string, query url.Values, value any) (err error) {
	target := url.URL{Scheme: "http", Host: c.addr, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("ask the catalog: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask the catalog: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()

	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the catalog's answer: %w", err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		return json.Unmarshal(body, value)
	case http.StatusNotFound:
		return catalog.ErrNotFound
	default:
		return fmt.Errorf("the catalog answers %s", response.Status)
	}
}
