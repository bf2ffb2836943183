package replica

// Failpoint is a place between two steps of the protocol at which a build with
// the tag failpoints can be killed, stopped or held up, as S3MIRROR_FAILPOINTS
// says. In every other build a trace does nothing and costs nothing.
type Failpoint string

// Failpoints, in the order in which a write passes them; the last four are those
// of reads and repairs.
const (
	BeforeIntent    Failpoint = "before-intent"    // the body is whole, nothing is in the log
	AfterIntent     Failpoint = "after-intent"     // the intent is known to stand, the lease is not looked at yet
	BeforeRelease   Failpoint = "before-release"   // the lease was found good, nothing has been let go
	BetweenReleases Failpoint = "between-releases" // some replica was let go, another not
	AfterRelease    Failpoint = "after-release"    // all were let go, no answer was looked at
	BeforeAnswer    Failpoint = "before-answer"    // a replica has answered, and nobody was told
	BeforeDecide    Failpoint = "before-decide"    // there are answers enough
	AfterDecide     Failpoint = "after-decide"     // the decide is known, the client is not told
	BeforeFold      Failpoint = "before-fold"      // a late answer, or a confession, goes into the row
	BeforeHelp      Failpoint = "before-help"      // a reader decides another's write
	BeforeMend      Failpoint = "before-mend"      // a repair changes a row: resolves, settles, adds a replica
	BeforeDrop      Failpoint = "before-drop"      // a repair takes a quiet row out
	AfterDrop       Failpoint = "after-drop"       // and has done so
)

// Failpoints are all of them.
var Failpoints = []Failpoint{
	BeforeIntent, AfterIntent, BeforeRelease, BetweenReleases, AfterRelease, BeforeAnswer, BeforeDecide, AfterDecide,
	BeforeFold, BeforeHelp, BeforeMend, BeforeDrop, AfterDrop,
}

// FailpointsVariable names the environment variable that says what happens at
// which failpoint, as in
//
//	before-decide=kill@0.01 before-release=stop@7 after-intent=delay:300ms@0.2
//
// kill ends the process as kill -9 does. stop is SIGSTOP: whoever watches the
// process lets it go on. delay holds up the one operation that passes, and
// nothing else. After @ stands when: a whole number n is the n-th passage since
// the start and no other, a number with a point is the probability of each. One
// failpoint may be named several times. Before it acts, a line on stderr says so:
//
//	failpoint before-release stop 7
//
// with the number of the passage. What can not be understood ends the process.
const FailpointsVariable = "S3MIRROR_FAILPOINTS"
