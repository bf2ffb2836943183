package backend

import "go.opentelemetry.io/otel/trace"

// Stack is an endpoint with everything around it that the program wants.
type Stack struct {
	// Endpoint is for the requests of clients.
	Endpoint
	// Paced is the same endpoint for work that yields to clients, slowed down to
	// Limits. Paid is for such work that Limits.Pay let go: it waits for nothing more.
	Paced, Paid Endpoint
	Limits      *Limits
	// Breaker tells the endpoint's health. Its Run must be started.
	Breaker *Breaker
}

// WrapOptions tune a Stack.
type WrapOptions struct {
	Breaker BreakerOptions
	Limits  *Limits      // nil: none until they are set
	Metrics *Metrics     // nil: none
	Tracer  trace.Tracer // nil: none
}

// Wrap builds the stack, in this order and for these reasons:
//
//	limit    outermost: who waits for its turn holds nothing below
//	own      which of the operations below are not clients'
//	retry    each attempt asks the breaker again, so retries end when it opens
//	breaker  an attempt that it refuses is no attempt, and has no latency
//	meter    each attempt on the wire, probes too
//	trace    the same, of requests that are traced
//	endpoint
func Wrap(e Endpoint, o WrapOptions) *Stack {
	if o.Tracer != nil {
		e = Trace(e, o.Tracer)
	}
	if o.Metrics != nil {
		e = Meter(e, o.Metrics)
	}
	b := NewBreaker(e, o.Breaker)
	if o.Metrics != nil {
		b.onChange = o.Metrics.setState(e.Name())
	}
	s := &Stack{Endpoint: Retry(b), Breaker: b, Limits: o.Limits}
	if s.Limits == nil {
		s.Limits = NewLimits(0, 0)
	}
	s.Limits.crowd = b.inFlight
	if o.Metrics != nil {
		s.Limits.waited = o.Metrics.setWaited(e.Name())
	}
	s.Paid = yielding(s.Endpoint, s.Limits)
	s.Paced = Limit(s.Paid, s.Limits)
	return s
}
