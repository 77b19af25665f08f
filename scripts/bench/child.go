package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// childName is the command that this program starts itself with: the simulator
// in a process of its own, whose CPU is not that of the sweep. It ends when its
// standard input does, so that it cannot outlive who started it.
const childName = "amazon"

// introduction is the first thing that the child says. The refresh tokens of
// its grants follow, each as a JSON string.
type introduction struct {
	TokenURL string // of a simulator that rotates refresh tokens, as Amazon does
	RawURL   string // of one that keeps them, so that one token serves for all requests
	RawToken string
}

func childCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	grants := flags.Int("grants", 1, "`number` of grants")
	latency := flags.Duration("latency", 0, "how long each answer takes")
	if err := parse(flags, args, func() error { return nil }); err != nil {
		return err
	}
	rotating, err := startSimulator(*latency, false)
	if err != nil {
		return err
	}
	defer rotating.server.Close()
	keeping, err := startSimulator(*latency, true)
	if err != nil {
		return err
	}
	defer keeping.server.Close()
	rawToken, err := keeping.enable(0)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	say := json.NewEncoder(out)
	intro := introduction{rotating.server.LWATokenURL, keeping.server.LWATokenURL, rawToken}
	if err := say.Encode(intro); err != nil {
		return err
	}
	for i := range *grants {
		token, err := rotating.enable(i)
		if err != nil {
			return err
		}
		if err := say.Encode(token); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// playing is a simulator that serves.
type playing struct {
	sim    *simulator.Simulator
	server *simulator.Server
}

func startSimulator(latency time.Duration, keep bool) (playing, error) {
	sim := simulator.New(simulator.Options{KeepRefreshToken: keep, KeepRequests: -1})
	if latency > 0 {
		sim.Always(simulator.Refresh, simulator.Fault{Delay: latency})
	}
	server, err := simulator.Start(sim)
	return playing{sim, server}, err
}

// enable makes a grant and returns its refresh token.
func (p playing) enable(i int) (string, error) {
	form := clientForm("authorization_code")
	form.Set("code", p.sim.Code(region, fmt.Sprint("amzn-", i)).Reveal())
	request := httptest.NewRequest(http.MethodPost, "/auth/o2/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", formType)
	recorder := httptest.NewRecorder()
	p.sim.ServeHTTP(recorder, request)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil || answer.RefreshToken == "" {
		return "", fmt.Errorf("the simulator answered an exchange with status %d", recorder.Code)
	}
	return answer.RefreshToken, nil
}

const formType = "application/x-www-form-urlencoded"

// clientForm is what every request of the simulator's client has.
func clientForm(grantType string) url.Values {
	client := simulator.DefaultClient()
	return url.Values{"grant_type": {grantType}, "client_id": {client.ID}, "client_secret": {client.Secret.Reveal()}}
}

// child is the simulator in its own process, as this one sees it.
type child struct {
	introduction
	tokens []lwa.Token // one for each grant
	stop   func() error
}

// startChild starts the simulator and waits until it has all grants.
func startChild(ctx context.Context, grants int, latency time.Duration, expires time.Time) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	process := exec.CommandContext(ctx, program, childName, "-grants", strconv.Itoa(grants), "-latency", latency.String())
	process.Stderr = os.Stderr
	life, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	c := &child{stop: func() error { return errors.Join(life.Close(), process.Wait()) }}
	if err := c.listen(json.NewDecoder(bufio.NewReader(said)), grants, expires); err != nil {
		return nil, errors.Join(fmt.Errorf("start the simulator: %w", err), c.stop())
	}
	return c, nil
}

func (c *child) listen(said *json.Decoder, grants int, expires time.Time) error {
	if err := said.Decode(&c.introduction); err != nil {
		return err
	}
	for range grants {
		var token string
		if err := said.Decode(&token); err != nil {
			return err
		}
		c.tokens = append(c.tokens, tokenWith(token, expires))
	}
	return nil
}

// rawForm is the form that the bare client posts.
func (c *child) rawForm() string {
	form := clientForm("refresh_token")
	form.Set("refresh_token", c.RawToken)
	return form.Encode()
}

// tokenWith is what a grant with that refresh token was given. Nobody uses the
// access token, which only has to be as long as a real one.
func tokenWith(refreshToken string, expires time.Time) lwa.Token {
	return lwa.Token{
		AccessToken: sensitive.New(refreshToken), RefreshToken: sensitive.New(refreshToken),
		ExpiresAt: expires, ClientID: simulator.DefaultClient().ID,
	}
}
