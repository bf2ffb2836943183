//go:build failpoints && unix

package replica

// Passed is how often each failpoint was passed in this process.
func Passed() map[Failpoint]int {
	all := fromEnvironment()
	all.mu.Lock()
	defer all.mu.Unlock()
	n := map[Failpoint]int{}
	for p, times := range all.passed {
		n[p] = times
	}
	return n
}

// CheckFailpoints tells whether instructions can be understood.
func CheckFailpoints(text string) error {
	_, err := parseOrders(text)
	return err
}
