package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Balancer is a load balancer before gateways, on the configuration in deploy/.
type Balancer struct {
	S3Addr, AdminAddr string

	proc *Process
}

// balancers are the programs by the names of their folders in deploy/.
var balancers = map[string]struct {
	file string
	run  func(file, dir string) []string
}{
	"haproxy": {"haproxy.cfg", func(file, _ string) []string { return []string{"haproxy", "-db", "-f", file} }},
	"nginx": {"nginx.conf", func(file, dir string) []string {
		return []string{"nginx", "-p", dir, "-c", file, "-e", "stderr", "-g", "daemon off; pid " + dir + "/pid;"}
	}},
}

// Place is a gateway as a balancer sees it.
type Place struct{ S3, Admin string }

// StartBalancer runs haproxy or nginx on its file in deploy/, in which three gateways
// stand: their addresses are replaced by the places', and those for which there is
// no place by ones where nobody answers. It skips the test, loudly, where the
// program is not installed.
func StartBalancer(t testing.TB, name string, places ...Place) *Balancer {
	t.Helper()
	about := balancers[name]
	program, err := exec.LookPath(name)
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			Lacking(t, name, "scripts/tools.sh with CI=true as root (Debian: apt-get install "+name+")")
		}
	}
	text, err := os.ReadFile(filepath.Join(Root(), "deploy", name, about.file))
	if err != nil {
		t.Fatal(err)
	}
	b := &Balancer{S3Addr: Addr(t), AdminAddr: Addr(t)}
	config := string(text)
	for i := range 3 {
		p := Place{Addr(t), Addr(t)} // taken, and nobody listens
		if i < len(places) {
			p = places[i]
		}
		_, port, err := net.SplitHostPort(p.Admin)
		if err != nil {
			t.Fatal(err)
		}
		host := fmt.Sprintf("10.0.0.1%d", i+1)
		config = strings.ReplaceAll(config, host+":9000", p.S3+checkPort(name, port))
		config = strings.ReplaceAll(config, host+":9001", p.Admin)
	}
	for from, to := range map[string]string{
		"bind :9000": "bind " + b.S3Addr, "bind :9001": "bind " + b.AdminAddr, "listen 9000;": "listen " + b.S3Addr + ";", "listen 9001;": "listen " + b.AdminAddr + ";",
	} {
		config = strings.ReplaceAll(config, from, to)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, about.file)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := about.run(file, dir)
	b.proc = Start(t, name, exec.Command(program, args[1:]...))
	Eventually(t, name+" answers", func() error {
		if !b.proc.Running() {
			t.Fatalf("%s ended:\n%s", name, b.proc.Output())
		}
		conn, err := net.Dial("tcp", b.S3Addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return b
}

// checkPort tells HAProxy where this gateway is ready: in the file all have one port.
func checkPort(name, port string) string {
	if name == "haproxy" {
		return " port " + port
	}
	return ""
}

// Process is the balancer's.
func (b *Balancer) Process() *Process { return b.proc }
