package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/simulator"
)

// gatewayName is the command that this program starts itself with: Login with
// Amazon, the identity provider and an event gateway in a process of their own.
// It ends when its standard input does.
const gatewayName = "gateway"

// amazonSays is the first thing that the process says.
type amazonSays struct {
	Gateway     string            // base URL of the event gateway
	LoginURL    string            // of Login with Amazon's tokens
	ControlURL  string            // of the simulator's control interface
	UserInfoURL string            // of the identity provider
	Environment map[string]string // that points Gatepost at all of them
}

// gatewayOrder is what the process is asked over its standard input. Strict
// has the simulator judge each event in full, which takes longer than to send
// it: so that only what is sent to warm up is judged, and what is measured is
// told from nothing but its token.
type gatewayOrder struct {
	Strict bool
	Delay  time.Duration // before each answer
}

// gatewayTally is the answer: what came since the last order.
type gatewayTally struct{ Taken, Refused, Open int64 }

// bareGateway is an event gateway that costs as little as one can that speaks
// HTTP: what it uses is taken from the load generator beside it. It is written
// against the connection, since the server of net/http takes twice as long.
type bareGateway struct {
	judge          http.Handler // the simulator's
	strict         atomic.Bool
	delay          atomic.Int64
	taken, refused atomic.Int64
	open           atomic.Int64 // connections
}

func gatewayCommand(_ context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, func() error { return nil }); err != nil {
		return err
	}
	sim := simulator.New(simulator.Options{KeepRequests: -1})
	server, err := simulator.Start(sim)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	g := &bareGateway{judge: sim.GatewayHandler(region)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = g.serve(listener) }() // until the process ends
	env, here := server.Env(), "http://"+listener.Addr().String()
	env["EVENT_GATEWAY_"+string(region)] = here
	says := json.NewEncoder(stdout)
	if err := says.Encode(amazonSays{here, server.LWATokenURL, server.ControlURL, server.UserInfoURL, env}); err != nil {
		return err
	}
	return g.obey(json.NewDecoder(os.Stdin), says)
}

// obey carries out orders until there are no more.
func (g *bareGateway) obey(orders *json.Decoder, says *json.Encoder) error {
	for {
		var order gatewayOrder
		if err := orders.Decode(&order); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("an order: %w", err)
		}
		g.strict.Store(order.Strict)
		g.delay.Store(int64(order.Delay))
		if err := says.Encode(gatewayTally{g.taken.Swap(0), g.refused.Swap(0), g.open.Load()}); err != nil {
			return err
		}
	}
}

func (g *bareGateway) serve(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			g.open.Add(1)
			defer g.open.Add(-1)
			defer func() { _ = conn.Close() }()
			_ = g.converse(conn) // who has gone asks for nothing more
		}()
	}
}

// accepted and notAccepted are the gateway's answers. Amazon's have a request
// id and no body.
const (
	accepted    = "HTTP/1.1 202 Accepted\r\nx-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\nContent-Length: 0\r\n\r\n"
	notAccepted = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
)

// converse answers the requests of one connection.
func (g *bareGateway) converse(conn net.Conn) error {
	reader := bufio.NewReader(conn)
	var body bytes.Buffer
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return err
		}
		body.Reset()
		if _, err := body.ReadFrom(request.Body); err != nil {
			return err
		}
		time.Sleep(time.Duration(g.delay.Load()))
		answer, count := accepted, &g.taken
		if !g.takes(request, body.Bytes()) {
			answer, count = notAccepted, &g.refused
		}
		count.Add(1)
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
	}
}

// takes reports whether the gateway takes an event.
func (g *bareGateway) takes(request *http.Request, body []byte) bool {
	if g.strict.Load() {
		request.Body = io.NopCloser(bytes.NewReader(body))
		judgement := httptest.NewRecorder()
		g.judge.ServeHTTP(judgement, request)
		return judgement.Code == http.StatusAccepted
	}
	token, bearer := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	return bearer && request.Method == http.MethodPost && request.URL.Path == "/v3/events" && bytes.Contains(body, []byte(token))
}
