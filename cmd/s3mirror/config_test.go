package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "rewrite golden files and generated documents")

// golden compares with a file, or rewrites it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update rewrites it):\n--- got\n%s\n--- want\n%s", file, got, want)
	}
}

// environment is an environ of fixed variables.
func environment(pairs ...string) environ {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// Each file in testdata/config has beside it what comes of it: the whole
// configuration in force, or every fault.
func TestConfigGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	env := environment("EU1_KEY", "AKIA1", "EU1_SECRET", "s3cr3t", "RPS", "250", "YES", "true", "HOST", "h", "PORT", "1", "NAME_1", "eu-1",
		"EVIL", "x\nadmin: {listen: evil}")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := loadConfig(file, env)
			got := ""
			var faults *configError
			switch {
			case errors.As(err, &faults):
				got = err.Error() + "\n"
			case err != nil:
				t.Fatal(err)
			default:
				text, err := yaml.Dump(cfg, yaml.WithIndent(2))
				if err != nil {
					t.Fatal(err)
				}
				got = string(text)
			}
			if strings.Contains(got, "s3cr3t") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
		})
	}
}

func TestEveryFaultOfAFileHasItsLine(t *testing.T) {
	for _, name := range []string{"unknown", "ranges", "references"} {
		_, err := loadConfig("testdata/config/"+name+".yaml", environment())
		var bad *configError
		if !errors.As(err, &bad) {
			t.Fatal(err)
		}
		for _, f := range bad.faults {
			if f.line == 0 {
				t.Errorf("%s: no line for %q %q", name, f.path, f.text)
			}
		}
		if !slices.IsSortedFunc(bad.faults, func(a, b fault) int { return a.line - b.line }) {
			t.Errorf("%s: not in the order of lines", name)
		}
	}
}

func TestExampleFileIsSound(t *testing.T) {
	env := environment("EU1_KEY", "k1", "EU1_SECRET", "s", "EU2_KEY", "k2", "EU2_SECRET", "s", "RU1_KEY", "k3", "RU1_SECRET", "s")
	cfg, err := loadConfig("../../docs/s3mirror.example.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Backends) != 3 {
		t.Errorf("%d backends", len(cfg.Backends))
	}
}

func TestConfigFileThatCannotBeRead(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxConfigBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"testdata/none.yaml", t.TempDir(), large} {
		if _, err := loadConfig(file, environment()); exitCode(err) != exitUsage {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	src := "backends:\n  - {name: eu-1, endpoint: \"http://h\", access_key_id: a, secret_access_key_file: ${SECRET_FILE}}\n"
	cfg, err := parseConfig("c.yaml", []byte(src), environment("SECRET_FILE", file))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(cfg.Backends[0].SecretAccessKey); got != "from file" {
		t.Errorf("got %q", got)
	}
}

func TestBucketSettings(t *testing.T) {
	cfg, err := loadConfig("testdata/config/everything.yaml", environment("EU1_KEY", "k", "EU1_SECRET", "s", "RPS", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if b := cfg.bucket("unknown"); !slices.Equal(b.ReplicaSet, []string{"ru-1", "eu-1"}) || b.Ack.AtLeast != 1 || b.AssumeEqual {
		t.Errorf("the defaults: %+v", b)
	}
	if b := cfg.bucket("a.b"); !slices.Equal(b.ReplicaSet, []string{"eu-1"}) || b.Ack.Word != "quorum" {
		t.Errorf("its own: %+v", b)
	}
	if got := cfg.realBucket("photos", "ru-1"); got != "photos-ru" {
		t.Errorf("mapped name %q", got)
	}
	if got := cfg.realBucket("photos", "eu-1"); got != "photos" {
		t.Errorf("own name %q", got)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "2w": 336 * time.Hour, "500ms": 500 * time.Millisecond,
	} {
		got, err := ParseDuration(text)
		if err != nil || time.Duration(got) != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
		if again, err := ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("%s -> %s -> %v %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "10", "-1s", "d", "-1d", "1.5d", "999999999999d", "4000000000w", "1y", "1 h"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{time.Hour: "1h", 90 * time.Minute: "1h30m", 48 * time.Hour: "2d", 10 * time.Second: "10s", time.Hour + time.Second: "1h0m1s"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "17": 17, "17B": 17, "96MiB": 96 << 20, "1.5GiB": 3 << 29, "10MB": 10e6, "2 TiB": 2 << 40, "1KB": 1000} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%s -> %s -> %v %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1e30", "NaN", "Inf", "1kb", "1 MiB x"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAckRuleNeeds(t *testing.T) {
	cases := []struct {
		rule AckRule
		n    int
		want int
	}{
		{AckRule{Word: "any"}, 3, 1},
		{AckRule{Word: "quorum"}, 3, 2},
		{AckRule{Word: "quorum"}, 4, 3},
		{AckRule{Word: "quorum"}, 1, 1},
		{AckRule{Word: "all"}, 3, 3},
		{AckRule{AtLeast: 2}, 3, 2},
		{AckRule{AtLeast: 1, Include: []string{"a", "b"}}, 3, 2},
		{AckRule{Include: []string{"a"}}, 3, 1},
	}
	for _, c := range cases {
		if got := c.rule.Need(c.n); got != c.want {
			t.Errorf("%s of %d: %d, want %d", c.rule, c.n, got, c.want)
		}
	}
}

func TestReleaseMargin(t *testing.T) {
	for lease, want := range map[time.Duration]time.Duration{
		10 * time.Second: 4 * time.Second, time.Minute: 4 * time.Second, 8 * time.Second: 3200 * time.Millisecond, time.Second: 400 * time.Millisecond,
	} {
		if got := releaseMargin(lease); got != want {
			t.Errorf("lease %s: %s, want %s", lease, got, want)
		}
	}
}

// The demo's and the chaos test's times must be legal, and a second more of
// lease must not: retention is checked to the second.
func TestRetentionIsChecked(t *testing.T) {
	with := func(settle, lease, retention string) error {
		src := fmt.Sprintf("replication: {settle: %s, lease: %s}\nlog: {retention: %s}\n"+
			"backends:\n  - {name: a, endpoint: \"http://h\", access_key_id: a, secret_access_key: s}\n", settle, lease, retention)
		_, err := parseConfig("c.yaml", []byte(src), environment())
		return err
	}
	for _, ok := range [][3]string{{"5s", "10s", "1m"}, {"20s", "8s", "60s"}, {"5m", "10s", "1h"}} {
		if err := with(ok[0], ok[1], ok[2]); err != nil {
			t.Errorf("%v: %v", ok, err)
		}
	}
	for _, bad := range [][3]string{{"20s", "10s", "60s"}, {"20s", "9s", "60s"}, {"5m", "10s", "622s"}} {
		if err := with(bad[0], bad[1], bad[2]); err == nil || !strings.Contains(err.Error(), "log.retention") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	files, _ := filepath.Glob("testdata/config/*.yaml")
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Add("a: &x [*x]")
	f.Add("a: &a [1]\nb: *a\n<<: {c: 1}")
	f.Fuzz(func(t *testing.T, src string) {
		cfg, err := parseConfig("c.yaml", []byte(src), environment())
		var bad *configError
		switch {
		case err == nil && len(cfg.Backends) == 0:
			t.Error("sound without a backend")
		case err != nil && (!errors.As(err, &bad) || len(bad.faults) == 0):
			t.Errorf("not a list of faults: %v", err)
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"", "1h", "30d", "96MiB", "1e3B", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil {
			if again, err := ParseDuration(d.String()); err != nil || again != d {
				t.Errorf("duration %q -> %s -> %v %v", s, d, again, err)
			}
		}
		if b, err := ParseSize(s); err == nil {
			if again, err := ParseSize(b.String()); err != nil || again != b {
				t.Errorf("size %q -> %s -> %v %v", s, b, again, err)
			}
		}
	})
}
