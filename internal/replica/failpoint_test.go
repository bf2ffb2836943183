//go:build failpoints && unix

package replica_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/s3mirror/s3mirror/internal/replica"
)

func TestFailpointsOfAWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, write := range []struct {
			what string
			do   func()
		}{
			{"small body", func() { r.mustPut("small", content(10, 1)) }},
			{"stream", func() { r.mustPut("stream", content(1<<20, 1)) }},
			{"delete", func() { r.mustDelete("small") }},
		} {
			before := replica.Passed()
			write.do()
			got := replica.Passed()
			for p := range got {
				got[p] -= before[p]
			}
			maps.DeleteFunc(got, func(_ replica.Failpoint, n int) bool { return n == 0 })
			delete(got, replica.BeforeFold) // a replica that was later than the decide
			want := map[replica.Failpoint]int{
				replica.BeforeIntent: 1, replica.AfterIntent: 1, replica.BeforeRelease: 1, replica.BetweenReleases: 2,
				replica.AfterRelease: 1, replica.BeforeAnswer: 1, replica.BeforeDecide: 1, replica.AfterDecide: 1,
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s passed %v, want %v", write.what, got, want)
			}
		}
		before := replica.Passed()
		r.converge()
		if after := replica.Passed(); after[replica.BeforeDrop] == before[replica.BeforeDrop] || after[replica.AfterDrop] == before[replica.AfterDrop] {
			t.Errorf("rows went without passing %s and %s: %v", replica.BeforeDrop, replica.AfterDrop, after)
		}
	})
}

func TestFailpointOrders(t *testing.T) {
	good := "before-decide=kill@0.01 before-release=stop@7\tafter-drop=delay:300ms@1 before-release=kill@1.0"
	if err := replica.CheckFailpoints(good); err != nil {
		t.Errorf("%s: %v", good, err)
	}
	for _, bad := range []string{
		"before-decide", "before-decide=kill", "before-decide=kill@", "before-decide=kill@0", "before-decide=kill@-1",
		"before-decide=kill@0.0", "before-decide=kill@1.5", "before-decide=kill@x", "before-decide=kill@0.x", "before-decide=hang@1",
		"before-decide=delay@1", "before-decide=delay:@1", "before-decide=delay:0s@1", "never=kill@1", "=kill@1",
	} {
		if replica.CheckFailpoints(bad) == nil {
			t.Errorf("%s was understood", bad)
		}
	}
}

// TestFailpointActs: the process dies at the second passage and has said so, and
// what it did at the first was to go on.
func TestFailpointActs(t *testing.T) {
	if os.Getenv(replica.FailpointsVariable) != "" {
		inBubble(t, func(t *testing.T, r *rig) {
			r.mustPut("one", content(10, 1))
			fmt.Println("one stands")
			r.mustPut("two", content(10, 1))
			fmt.Println("two stands")
		})
		return
	}
	for _, c := range []struct{ orders, end, said, says string }{
		{"before-decide=kill@2", "signal: killed", "before-decide kill 2", "one stands"},
		{"before-decide=delay:1s@2", "exit status 0", "before-decide delay:1s 2", "two stands"},
		{"before-decide=kill@3", "exit status 0", "", "two stands"},
		{"before-decide=kill", "exit status 2", "", ""},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFailpointActs$", "-test.count=1")
		cmd.Env = append(os.Environ(), replica.FailpointsVariable+"="+c.orders)
		out, _ := cmd.CombinedOutput()
		if end := cmd.ProcessState.String(); end != c.end || !strings.Contains(string(out), c.says) ||
			strings.Contains(string(out), "failpoint "+c.said) != (c.said != "") {
			t.Errorf("%s: %s, want %s, %q and %q:\n%s", c.orders, end, c.end, c.said, c.says, out)
		}
	}
}

// TestFailpointStops: the process stands still until somebody lets it go on.
func TestFailpointStops(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFailpointActs$", "-test.count=1")
	cmd.Env = append(os.Environ(), replica.FailpointsVariable+"=before-release=stop@2")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it did not stop: %v, %v", status, err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "two stands") {
		t.Fatalf("it did not go on: %v\n%s", err, out.String())
	}
}
