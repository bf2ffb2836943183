package probe

import "time"

// Effort is how much a run of the probes asks of an endpoint, and of who waits for it.
type Effort struct {
	// Rounds of writing and reading back, and the longest that all of them may take.
	Rounds   int
	Patience time.Duration
	// Racers write one object at the same time.
	Racers int
	// Largest body that is cut on its way, in bytes.
	Largest int
	// Watch is how long what was cut must stay away.
	Watch time.Duration

	// Whole says whether those are made too that no gateway acts upon: they are for an
	// operator.
	Whole bool
	// Idle is the longest that an upload is left without a byte; zero: that is not tried.
	Idle time.Duration
	// Late is how many writes are left alone once they were sent, to see when they show;
	// each is waited for so long.
	Late     int
	LateWait time.Duration

	// Own says that the bucket is the probes' own: versions may be switched on in
	// another one beside it.
	Own bool

	// Told is called with each finding as it is made, by one goroutine at a time. May be nil.
	Told func(Probe)
}

// Brief is for a backend that is about to serve: some seconds.
func Brief() Effort {
	return Effort{Rounds: 20, Patience: 20 * time.Second, Racers: 16, Largest: 1000}
}

// Thorough is for an operator who wants to know: more than a minute.
func Thorough() Effort {
	return Effort{
		Rounds: 10_000, Patience: time.Minute, Racers: 64, Largest: 6 << 20, Watch: time.Minute,
		Whole: true, Idle: time.Minute, Late: 48, LateWait: 5 * time.Second,
	}
}
