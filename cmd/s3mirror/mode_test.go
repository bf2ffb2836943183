package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// TestReplicationByCommand sets modes, pauses and paces of a real engine.
func TestReplicationByCommand(t *testing.T) {
	d := startRealDemo(t)
	defer d.end(t)
	env := d.env
	for _, c := range []struct {
		args, want string // want: words of the output, in order
	}{
		{"bucket create photos", "photos"},
		{"mode", "all active"},
		{"mode disabled --primary eu-2", "all disabled eu-2"},
		{"mode active --bucket photos", "all disabled eu-2 photos active"},
		{"mode", "all disabled eu-2 photos active"},
		{"backend pause eu-1", "eu-1 is paused backend resume eu-1 ends it"},
		{"backend list", "eu-1 paused"},
		{"backend show eu-1", "state paused why an operator paused it"},
		{"backend pause eu-1 --for 90m", "eu-1 is paused until"},
		{"backend resume eu-1", "eu-1 is not paused; it lags by"},
		{"mode active", "all active"},
		{"backend pace", "eu-1 no limit no limit eu-2"},
		{"backend pace --bytes 20MiB --requests 2.5", "eu-1 20 MiB 2.5 eu-2 20 MiB 2.5"},
		{"backend pace eu-2 --bytes 0", "eu-1 20 MiB 2.5 eu-2 no limit no limit"},
		{"backend pace eu-1", "eu-1 20 MiB 2.5"},
		{"backend pace --reset eu-1", "eu-1 no limit no limit eu-2"},
		{"backend pace --reset", "ru-1 no limit no limit"},
	} {
		got := do(t, env, "", strings.Fields(c.args)...)
		if !inOrder(got, strings.Fields(c.want)) {
			t.Errorf("s3mirror %s says %q, want %q", c.args, got, c.want)
		}
	}
	for args, document := range map[string]any{
		"mode": &api.Modes{}, "mode disabled --primary eu-1": &api.Modes{}, "mode active": &api.Modes{}, "backend pause eu-1": &api.BackendDetail{},
		"backend resume eu-1": &api.BackendDetail{}, "backend pace": &api.Paces{}, "backend pace --requests 3": &api.Paces{}, "backend pace --reset": &api.Paces{},
	} {
		if err := json.Unmarshal([]byte(do(t, env, "", append(strings.Fields(args), "-o", "json")...)), document); err != nil {
			t.Errorf("s3mirror %s -o json: %v", args, err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"mode standby", exitUsage, "standby"},
		{"mode disabled", exitUsage, "--primary"},
		{"mode active --primary eu-1", exitUsage, "--primary"},
		{"mode --bucket photos", exitUsage, "name a mode"},
		{"mode disabled --primary nowhere", exitFailed, "no such backend"},
		{"mode active --bucket nowhere", exitFailed, "bucket"},
		{"backend pause nowhere", exitFailed, "no such backend"},
		{"backend pause eu-1 --for -1m", exitUsage, "--for"},
		{"backend resume nowhere", exitFailed, "no such backend"},
		{"backend pace nowhere", exitFailed, "nowhere"},
		{"backend pace nowhere --requests 1", exitFailed, "no such backend"},
		{"backend pace --bytes much", exitUsage, "--bytes"},
		{"backend pace --requests=-1", exitUsage, "--requests"},
		{"backend pace --reset --requests 1", exitUsage, "reset"},
	} {
		if code, _, stderr := command(t, env, strings.Fields(c.args)...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("s3mirror %s: exit %d, %q", c.args, code, stderr)
		}
	}
}

// inOrder tells whether a text holds the words one after the other.
func inOrder(text string, words []string) bool {
	for _, w := range words {
		_, rest, ok := strings.Cut(text, w)
		if !ok {
			return false
		}
		text = rest
	}
	return true
}
