package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newEvents is `s3mirror events`.
func newEvents(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happens, as it happens: the status whenever it changes, the audit, and how far jobs are",
		Long: `Show what happens, as it happens: the status whenever it changes, and each entry
of the audit. With --output json there is one object a line: {"event": NAME, "data":
the API's document}. It goes on until it is interrupted or the server stops.`,
		Args: noArgs,
	}
	return clientCommand(cmd, std, env, func(c call, _ []string) error {
		err := c.client.Stream(c.ctx, func(a *api.Client) (*http.Response, error) { return a.Events(c.ctx) }, c.events)
		if c.ctx.Err() != nil {
			return nil
		}
		return err
	})
}

// maxEvent bounds one line of the stream, in bytes.
const maxEvent = 4 << 20

// events prints a stream of events to its end.
func (c call) events(stream io.Reader) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	name := ""
	for lines.Scan() {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			name = text
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if err := c.event(name, []byte(data)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// event prints one event.
func (c call) event(name string, data []byte) error {
	if c.output == "json" {
		text, err := json.Marshal(struct {
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
		}{name, data})
		if err != nil {
			return err
		}
		c.line("%s", text)
		return c.err
	}
	switch name {
	case "status":
		var s admin.Status
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		c.line("status: %s", summary(s))
	case "audit":
		var e admin.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return err
		}
		c.line("audit: %s %s %q by %s from %s: %s", e.Op, e.Bucket, e.Key, list(words([]string{e.Actor}), "nobody"), e.Client, resultOf(e))
	case "job":
		var j admin.Job
		if err := json.Unmarshal(data, &j); err != nil {
			return err
		}
		c.line("job %s: %s", j.ID, progressText(j))
	case "end":
		p := &admin.Problem{}
		if err := json.Unmarshal(data, &p.Problem); err != nil {
			return err
		}
		return p
	default:
		c.line("%s: %s", name, data)
	}
	return c.err
}

// summary is the status in one line.
func summary(s admin.Status) string {
	text := "converged"
	if !s.Converged {
		text = fmt.Sprintf("not converged, lagging %s, unsettled %s", backlog(s.Lagging), keys(s.Unsettled.Keys))
	}
	for _, b := range s.Backends {
		text += fmt.Sprintf("; %s %s", b.Name, b.State)
	}
	return text
}
