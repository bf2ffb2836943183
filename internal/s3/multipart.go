package s3

// MaxParts is how many parts an upload can have, and the highest number of one.
const MaxParts = 10_000
