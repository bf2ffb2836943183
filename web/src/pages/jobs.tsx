import { Button, Group } from "@mantine/core";
import { useState } from "react";
import type { Job } from "../api/gen/types.gen";
import { useJobs } from "../api/queries";
import { Live } from "../parts/badge";
import { Course } from "../parts/course";
import { Icon } from "../parts/icons";
import { Panel } from "../parts/page";
import { Note, Oops, Waiting } from "../parts/states";
import { ago } from "../words/format";
import { isOver } from "../words/joblist";
import { jobTitle, jobTone, stateOf } from "../words/jobs";
import { OneJob } from "./job";
import { NewJob } from "./job-form";

const few = 5; // of those that are over, until somebody asks for more

/** Long work: what is under way, what was of late, and new work. */
export function Jobs({ backends }: { backends: string[] }) {
	const jobs = useJobs();
	const [making, setMaking] = useState(false);
	const [open, setOpen] = useState<string>();
	const [whole, setWhole] = useState(false);
	const all = jobs.data ?? [];
	const going = all.filter((j) => !isOver(j));
	const over = all.filter(isOver);
	const shown = [...going, ...(whole ? over : over.slice(0, few))];
	return (
		<Panel
			title="Jobs"
			note="Long work: one node does it, and another goes on where that one stopped"
			flush
			actions={
				<Button leftSection={<Icon name="plus" size={16} />} onClick={() => setMaking(true)}>
					New job
				</Button>
			}
		>
			{jobs.isPending ? (
				<div className="panel-pad">
					<Waiting rows={2} height={56} />
				</div>
			) : jobs.isError && all.length === 0 ? (
				<Oops error={jobs.error} action={<Button onClick={() => jobs.refetch()}>Try again</Button>} />
			) : all.length === 0 ? (
				<p className="jobs-none">
					No job is under way, and none was of late. Replicas are healed without one; a scrub proves that they are
					equal.
				</p>
			) : (
				<>
					{jobs.isError && (
						<div className="panel-pad">
							<Note tone="bad" title="This is not the present state.">
								{jobs.error.message}
							</Note>
						</div>
					)}
					<ul className="paced jobs">
						{shown.map((j) => (
							<Line key={j.id} job={j} open={() => setOpen(j.id)} />
						))}
					</ul>
					{!whole && over.length > few && (
						<Group justify="center" p="sm" className="jobs-more">
							<Button variant="subtle" size="compact-sm" onClick={() => setWhole(true)}>
								{over.length - few} older
							</Button>
						</Group>
					)}
				</>
			)}
			{making && (
				<NewJob
					backends={backends}
					close={() => setMaking(false)}
					begun={(id) => {
						setMaking(false);
						setOpen(id);
					}}
				/>
			)}
			{open && <OneJob id={open} close={() => setOpen(undefined)} />}
		</Panel>
	);
}

function Line({ job, open }: { job: Job; open: () => void }) {
	const title = jobTitle(job);
	return (
		<li aria-label={title}>
			<div className="paced-head">
				<button type="button" className="row-button" onClick={open}>
					{title}
				</button>
				<Live tone={jobTone[job.state]}>{stateOf(job)}</Live>
				<span className="dim jobs-when">
					by {job.by}, {ago(job.ended ?? job.started ?? job.created)}
				</span>
			</div>
			<Course job={job} />
		</li>
	);
}
