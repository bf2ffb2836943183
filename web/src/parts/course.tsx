import { Progress } from "@mantine/core";
import type { Job } from "../api/gen/types.gen";
import { isOver } from "../words/joblist";
import { figures, part, whereabouts } from "../words/jobs";

/** How far a job is, and what it has come to; of one that is over what it came to. */
export function Course({ job }: { job: Job }) {
	const done = part(job);
	return (
		<div className="job-course">
			{!isOver(job) && done !== undefined && (
				<Progress value={done * 100} aria-label={`How far the ${job.kind} is`} mb={5} />
			)}
			{(job.keys > 0 || !job.problem) && <p>{figures(job)}</p>}
			{!isOver(job) && <p className="dim">{whereabouts(job)}</p>}
			{job.problem && <p data-tone={job.state === "failed" ? "bad" : "warn"}>{job.problem}</p>}
		</div>
	);
}
