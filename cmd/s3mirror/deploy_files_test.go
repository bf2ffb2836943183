package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const deployDir = "../../deploy"

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The balancer of the compose file is the tested one, under other names.
func TestComposeBalancerIsTheTestedOne(t *testing.T) {
	tested := deployed(t, "haproxy/haproxy.cfg")
	_, rest, ok := strings.Cut(tested, "\nglobal\n")
	if !ok {
		t.Fatal("haproxy.cfg has no section global")
	}
	want := "# deploy/haproxy/haproxy.cfg with the names of compose.yaml: go test ./cmd/s3mirror -run Compose -update\n\nglobal\n" +
		regexp.MustCompile(`10\.0\.0\.1(\d):`).ReplaceAllString(rest, "gateway-$1:")
	golden(t, filepath.Join(deployDir, "compose/haproxy.cfg"), want)
}

// The configuration of the compose file's gateways is one that serve takes, with the
// times that the balancer counts on.
func TestComposeConfiguration(t *testing.T) {
	cfg, err := loadConfig(filepath.Join(deployDir, "compose/s3mirror.yaml"), environment("BACKEND_SECRET", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Log.Engine != engineCassandra || !cfg.S3.ProxyProtocol || cfg.ShutdownDelay == 0 {
		t.Errorf("it is not what haproxy.cfg wants: %+v", cfg)
	}
}

// composeFile is what the test reads of it.
type composeFile struct {
	Services map[string]struct {
		Image   string
		Build   struct{ Context, Dockerfile string }
		Command any
		Volumes []string
		Configs []struct{ Source, Target string }
		Secrets []string
		Depends any `yaml:"depends_on"`
	}
	Volumes map[string]any
	Configs map[string]struct{ File string }
	Secrets map[string]any
}

// There is no Docker here: what can be known by reading is checked, that everything
// which is referred to is there.
func TestComposeFile(t *testing.T) {
	var c composeFile
	text := deployed(t, "compose/compose.yaml")
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cassandra-1", "cassandra-2", "cassandra-3", "backend-1", "backend-2", "backend-3", "gateway-1", "gateway-2", "gateway-3", "migrate", "balancer"} {
		if c.Services[name].Image == "" {
			t.Errorf("service %s has no image", name)
		}
	}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			if _, ok := c.Volumes[strings.Split(v, ":")[0]]; !ok {
				t.Errorf("service %s: there is no volume %s", name, v)
			}
		}
		for _, f := range s.Configs {
			if _, err := os.Stat(filepath.Join(deployDir, "compose", c.Configs[f.Source].File)); c.Configs[f.Source].File == "" || err != nil {
				t.Errorf("service %s: there is no config %s: %v", name, f.Source, err)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("service %s: there is no secret %s", name, secret)
			}
		}
		if b := s.Build; b.Context != "" {
			if _, err := os.Stat(filepath.Join(deployDir, "compose", b.Context, b.Dockerfile)); err != nil {
				t.Errorf("service %s: %v", name, err)
			}
		}
		for _, other := range keysOf(s.Depends) {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("service %s: there is no service %s", name, other)
			}
		}
	}
	hosts, err := loadConfig(filepath.Join(deployDir, "compose/s3mirror.yaml"), environment("BACKEND_SECRET", "x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts.Log.Cassandra.Hosts {
		if _, ok := c.Services[h]; !ok {
			t.Errorf("log.cassandra.hosts: there is no service %s", h)
		}
	}
}

// keysOf are the names of a list or of a map.
func keysOf(v any) (all []string) {
	switch v := v.(type) {
	case []any:
		for _, name := range v {
			all = append(all, name.(string))
		}
	case map[string]any:
		for name := range v {
			all = append(all, name)
		}
	case map[any]any:
		for name := range v {
			all = append(all, name.(string))
		}
	}
	return all
}

// systemd takes the unit, but for the program, which is not installed here.
func TestUnitFile(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("systemd-analyze is not installed (Debian: apt-get install systemd)")
		}
		t.Skip("SKIPPED, deploy/systemd IS NOT PROVED: systemd-analyze is not installed (Debian: apt-get install systemd)")
	}
	unit := strings.Replace(deployed(t, "systemd/s3mirror.service"), "ExecStart=/usr/bin/s3mirror", "ExecStart="+os.Args[0], 1)
	file := filepath.Join(t.TempDir(), "s3mirror.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), file) {
		t.Errorf("%v\n%s", err, out)
	}
}
