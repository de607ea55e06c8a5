package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"shop.example/shop/internal/reply"
)

// readyTimeout bounds one readiness question.
const readyTimeout = time.Second

// ready answers 200 once every part accepts connections: a part listens only
// when its data is there. It makes no request of its own, so that asking
// leaves no trace but its own server span.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := g.waitReady(ctx); err != nil {
		reply.Error(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	reply.JSON(w, http.StatusOK, map[string]bool{"ready": true})
}

func (g *Gateway) waitReady(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", g.config.CatalogAddr)
	if err != nil {
		return fmt.Errorf("catalog is not ready: %w", err)
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("catalog is not ready: %w", err)
	}
	for _, conn := range g.grpc {
		if err := waitConnected(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// waitConnected also ends a back-off: whoever asks wants to know now.
func waitConnected(ctx context.Context, conn *grpc.ClientConn) error {
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			conn.Connect()
		case connectivity.TransientFailure:
			conn.ResetConnectBackoff()
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("%s is not ready: connection is %s", conn.Target(), state)
		}
	}
}
