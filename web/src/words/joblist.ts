// What every page knows of jobs; what is said of them comes with the page that shows them.
import type { Job } from "../api/gen/types.gen";

export const isOver = (job: Pick<Job, "state">): boolean => ["done", "failed", "cancelled"].includes(job.state);

/** The jobs with one that came forward, the newest first. */
export function withJob(all: Job[], job: Job): Job[] {
	return all.some((j) => j.id === job.id) ? all.map((j) => (j.id === job.id ? job : j)) : [job, ...all];
}
