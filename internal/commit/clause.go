package commit

// Clause is one part of a rule of RELIABILITY section 4, or of what the simulator
// added to it (docs/decisions/0013). Each can be switched off in builds with the
// tag mutation, to show that some schedule breaks without it; docs/mutations.md
// is the table. In every other build holds is true and costs nothing.
type Clause string

// Clauses, by the number of the rule that they belong to.
const (
	R1Moved       Clause = "R1 moved"        // a row that moved under an unknown compare-and-set: the outcome is unknown
	R1NoVerdict   Clause = "R1 no verdict"   // after an unknown compare-and-set nothing is a definite failure
	R2Wait        Clause = "R2 wait"         // a foreign intent is resolved only after a lease
	R3Renew       Clause = "R3 renew"        // a live owner renews its nonce
	R4Half        Clause = "R4 half"         // half of an open write is not the base
	R4Reread      Clause = "R4 reread"       // an open base is served only while the intent stands
	R4Base        Clause = "R4 base"         // who closes an open base calls good only what shows it
	R5Clean       Clause = "R5 clean"        // no write without a clean replica
	R6Verdict     Clause = "R6 verdict"      // conditions are judged against the row, in the loop
	R6Second      Clause = "R6 second look"  // a refusal by what a replica showed looks at the row again
	R7Version     Clause = "R7 version"      // the version is later than all that the row names
	R8Newer       Clause = "R8 newer"        // a replica that keeps another version said no
	R9Known       Clause = "R9 known"        // nothing is released before the intent is known to stand
	R10Stale      Clause = "R10 stale"       // a row that was made on an old read is taken back
	R11Lease      Clause = "R11 lease"       // nothing is released when too little of the lease is left
	R11Copy       Clause = "R11 copy"        // a copy whose ETag nobody knows counts after a HEAD
	R11Match      Clause = "R11 match"       // a replica copies only what the source was
	R12Ambiguous  Clause = "R12 ambiguous"   // what is neither yes nor no is ambiguous
	R13Confirm    Clause = "R13 confirm"     // a yes counts after a HEAD when the row changed meanwhile
	R13Spoilt     Clause = "R13 spoilt"      // a replica that holds half of the write did not refuse it
	R14Stragglers Clause = "R14 stragglers"  // the decide records who has not answered
	R15Anchor     Clause = "R15 anchor"      // no decide without an anchor
	R15Then       Clause = "R15 then"        // the anchor is as the intent saw it, not as the row is now
	R15Ack        Clause = "R15 ack"         // no ack without an anchor
	R16AllNo      Clause = "R16 all no"      // a definite failure needs a no of every replica
	R17Helped     Clause = "R17 helped"      // a version that a reader decided is the writer's success
	R17Overlap    Clause = "R17 overlap"     // a late yes waits for an intent that overlaps it
	R17Moved      Clause = "R17 moved"       // a late yes makes nothing good once the row moved
	R18Confess    Clause = "R18 confess"     // who lost the lease names what it released
	R18Overtaken  Clause = "R18 overtaken"   // who was overtaken does not confess
	R18Anchor     Clause = "R18 anchor"      // folding late answers keeps an anchor
	R19Watch      Clause = "R19 watch"       // time settles only under an unbroken watch
	R19Time       Clause = "R19 time"        // time settles after T_settle
	R19Last       Clause = "R19 last"        // what may be all that is left of a key is not settled
	R19Whole      Clause = "R19 whole"       // half a version settles nothing
	R19Named      Clause = "R19 named"       // a good replica that shows something else stays named
	R19Shown      Clause = "R19 shown"       // it stays named by the request that it shows
	R19Anchor     Clause = "R19 anchor"      // tidying keeps an anchor
	R20Second     Clause = "R20 second look" // no row: look again
	R21Stamp      Clause = "R21 stamp"       // no identity is served that the row does not name
	R22Anchor     Clause = "R22 anchor"      // a helper needs an anchor
	R23After      Clause = "R23 after"       // lists look at the rows again after the page
	R24Anchor     Clause = "R24 anchor"      // a resolver needs an anchor
	R25Roll       Clause = "R25 roll"        // late roll-forward
	R25Newer      Clause = "R25 newer"       // nothing is rolled forward where a newer request may still land
	R25Deletes    Clause = "R25 deletes"     // but for older deletes, where a delete is
	R26Absence    Clause = "R26 absence"     // a 404 settles no DELETE
	R26Help       Clause = "R26 help"        // deciding a DELETE by its absence settles nobody
	R27Clean      Clause = "R27 clean"       // only a clean replica is healed
	R28Retention  Clause = "R28 retention"   // a row outlives its retention
	R28Fresh      Clause = "R28 fresh"       // a row is dropped on fresh HEADs
	R29Unknown    Clause = "R29 unknown"     // an unknown compare-and-set is not taken for applied
	R28Serving    Clause = "R28 serving"     // what stood there before a row is good only where reads may go
	R28Behind     Clause = "R28 behind"      // no row waits for a replica that was left behind
	R31Primary    Clause = "R31 primary"     // disabled: a client's write is released to the primary alone
	R31Ack        Clause = "R31 ack"         // disabled: the primary's yes is the ack rule
	R31Heal       Clause = "R31 heal"        // disabled: the primary alone is healed
	R31Whole      Clause = "R31 whole"       // a key's state is that of the whole replica set, whatever the mode
	R31First      Clause = "R31 first"       // disabled: the primary is asked first, and nobody beside it

	NLease  Clause = "N1 lease"  // nothing is released when too little of the node's lease is left
	NAdmit  Clause = "N2 admit"  // nothing begins on a node without a lease
	NStill  Clause = "N3 still"  // a node is dead after its record stood still for a whole lease
	NFresh  Clause = "N4 fresh"  // a lease counts once the settings were read after it began
	NAcked  Clause = "N5 acked"  // a change of the settings is answered once every live node has it
	NHeld   Clause = "N6 held"   // what another live node does is not taken from it
	NFormat Clause = "N7 format" // rows are written in a format that every node that lives reads

	SSecond Clause = "S1 second look" // replicas are compared between two looks at the row
	SData   Clause = "S2 data"        // without a row data wins over absence
	SAbsent Clause = "S3 absent"      // what is taken away is absent on every replica that counts
	SRotten Clause = "S4 rotten"      // a rotten copy is not good, whatever it shows
	SSight  Clause = "S5 sight"       // what a rotten copy shows settles nothing

	UOnce    Clause = "U1 once"     // an upload that became a version does not become one again
	UPermit  Clause = "U2 permit"   // nothing is released before the upload's record names the Complete
	ULease   Clause = "U3 lease"    // who aborts waits for a Complete that may be on its way
	UList    Clause = "U4 list"     // no Complete of other parts while one may land
	UConfirm Clause = "U5 confirm"  // a yes counts after a HEAD
	UAbsent  Clause = "U6 absent"   // what a replica shows settles that it does not know the upload
	USame    Clause = "U7 same"     // Completes of one upload are no threat to each other
	USeen    Clause = "U8 seen"     // the version ends all its Completes only where an upload completes once
	UFence   Clause = "U9 fence"    // an abort ends a Complete only where it fences
	USlow    Clause = "U10 slow"    // slow requests settle later
	UHolders Clause = "U11 holders" // a Complete goes to replicas that hold every part
	UPart    Clause = "U12 leave"   // a replica that lacks a part leaves before the part is acknowledged

	CKept   Clause = "C1 kept"   // the row stays where a replica keeps no checksum of its version
	CCommon Clause = "C2 common" // without a row only checksums count that every replica keeps

	TNamed     Clause = "T1 named"     // a request to change tags is named before it is sent
	TMistagged Clause = "T2 mistagged" // after a change every replica counts as mistagged
	TMoved     Clause = "T3 moved"     // a yes ends that only where nothing else happened since
	TKept      Clause = "T4 kept"      // a newer version does not end it
	TLook      Clause = "T5 look"      // a look does
	TLearn     Clause = "T6 learn"     // a version is not copied before its tags are known
	TBare      Clause = "T7 bare"      // the row stays where a replica keeps no tags
	TSame      Clause = "T8 same"      // tags are those of the version that stood there before and after
	TLease     Clause = "T9 lease"     // no request is sent late

	JYoung Clause = "J1 young" // a row is dropped by a record of the bucket that was read lately
	JTouch Clause = "J2 touch" // a resync leaves no row behind it that is older than the replica's place in the set
	JOpen  Clause = "J3 open"  // a key whose row may go again was not compared
	JTags  Clause = "J4 tags"  // whoever holds the version, or may soon, counts as mistagged, be it unknown to who changes the tags
)

// Clauses are all of them, in order.
var Clauses = []Clause{
	R1Moved, R1NoVerdict, R2Wait, R3Renew, R4Half, R4Reread, R4Base, R5Clean, R6Verdict, R6Second, R7Version, R8Newer, R9Known,
	R10Stale, R11Lease, R11Copy, R11Match, R12Ambiguous, R13Confirm, R13Spoilt, R14Stragglers, R15Anchor, R15Then, R15Ack, R16AllNo, R17Helped, R17Overlap, R17Moved,
	R18Confess, R18Overtaken, R18Anchor, R19Watch, R19Time, R19Last, R19Whole, R19Named, R19Shown, R19Anchor, R20Second, R21Stamp,
	R22Anchor, R23After, R24Anchor, R25Roll, R25Newer, R25Deletes, R26Absence, R26Help, R27Clean, R28Retention, R28Fresh, R29Unknown,
	R31Primary, R31Ack, R31Heal, R31Whole, R31First,
	R28Serving, R28Behind,
	NLease, NAdmit, NStill, NFresh, NAcked, NHeld, NFormat,
	SSecond, SData, SAbsent, SRotten, SSight,
	UOnce, UPermit, ULease, UList, UConfirm, UAbsent, USame, USeen, UFence, USlow, UHolders, UPart,
	CKept, CCommon,
	TNamed, TMistagged, TMoved, TKept, TLook, TLearn, TBare, TSame, TLease,
	JYoung, JTouch, JOpen, JTags,
}
