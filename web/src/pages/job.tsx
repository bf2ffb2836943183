import { Button, Drawer, Group, Stack, Table } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { endJob, getJob } from "../api/gen/sdk.gen";
import type { Job, JobFinding } from "../api/gen/types.gen";
import { every } from "../api/live";
import { Live, Tag } from "../parts/badge";
import { Confirm } from "../parts/confirm";
import { Course } from "../parts/course";
import { Facts } from "../parts/facts";
import { Cell, Rows } from "../parts/rows";
import { Oops, Waiting } from "../parts/states";
import { count, moment } from "../words/format";
import { isOver } from "../words/joblist";
import { doneWords, foundWords, isAndShould, jobTitle, jobTone, missing, stateOf, took } from "../words/jobs";

/** One job: how far it is, what it found, and its end. */
export function OneJob({ id, close }: { id: string; close: () => void }) {
	const job = useInfiniteQuery({
		queryKey: ["job", id],
		queryFn: async ({ pageParam }) => (await getJob({ path: { id }, query: { cursor: pageParam } })).data,
		initialPageParam: undefined as string | undefined,
		getNextPageParam: (p) => p.cursor,
		refetchInterval: (q) => {
			const last = q.state.data?.pages.at(-1);
			return last && isOver(last) ? false : every(5_000, 1_000)();
		},
	});
	const now = job.data?.pages.at(-1);
	return (
		<Drawer
			opened
			onClose={close}
			title={now ? jobTitle(now) : "Job"}
			position="right"
			size="xl"
			closeButtonProps={{ "aria-label": "Close" }}
		>
			{job.isPending ? (
				<Waiting />
			) : now === undefined ? (
				<Oops error={job.error} action={<Button onClick={() => job.refetch()}>Try again</Button>} />
			) : (
				<Stack gap="xl">
					<About job={now} />
					<Findings
						job={now}
						found={job.data?.pages.flatMap((p) => p.findings) ?? []}
						more={job.hasNextPage ? () => void job.fetchNextPage() : undefined}
						busy={job.isFetchingNextPage}
					/>
					<End job={now} close={close} />
				</Stack>
			)}
		</Drawer>
	);
}

function About({ job }: { job: Job }) {
	const lacked = missing(job);
	return (
		<div>
			<Live tone={jobTone[job.state]}>{stateOf(job)}</Live>
			<Course job={job} />
			<div className="job-facts">
				<Facts
					facts={[
						["Asked for", `by ${job.by}, ${moment(job.created)}`],
						...(job.source ? ([["Source", job.source]] as [string, string][]) : []),
						...(job.node ? ([[isOver(job) ? "Done by" : "Done by now", job.node]] as [string, string][]) : []),
						["Took", took(job)],
						...(job.ended ? ([["Ended", moment(job.ended)]] as [string, string][]) : []),
						...(lacked ? ([["Missing", lacked]] as [string, string][]) : []),
					]}
				/>
			</div>
		</div>
	);
}

const columns = [{ name: "Object" }, { name: "Backend" }, { name: "What differs" }, { name: "Done" }];

function Findings({ job, found, more, busy }: { job: Job; found: JobFinding[]; more?: () => void; busy: boolean }) {
	if (job.kind !== "scrub") {
		return null;
	}
	return (
		<section aria-label="What it found" className="job-found">
			<h2 className="section-title">What it found</h2>
			{found.length === 0 ? (
				<p className="dim">
					{isOver(job)
						? job.state === "done"
							? "Nothing: every replica has what it should."
							: "Nothing, as far as it came."
						: "Nothing so far."}
				</p>
			) : (
				<Rows label="Differences" columns={columns}>
					{found.map((f) => (
						<Table.Tr key={`${f.bucket}/${f.key_encoded ?? f.key} ${f.backend} ${f.what}`}>
							<Cell label="Object" head>
								<code>
									{f.bucket}/{f.key_encoded ?? f.key}
								</code>
							</Cell>
							<Cell label="Backend">{f.backend || "all"}</Cell>
							<Cell label="What differs">
								<div>
									{foundWords[f.what]}
									{isAndShould(f) && <div className="dim">{isAndShould(f)}</div>}
								</div>
							</Cell>
							<Cell label="Done">
								<Tag tone={doneWords[f.done].tone}>{doneWords[f.done].text}</Tag>
							</Cell>
						</Table.Tr>
					))}
				</Rows>
			)}
			{more && (
				<Group justify="center" p="md">
					<Button variant="default" loading={busy} onClick={more}>
						More
					</Button>
				</Group>
			)}
			{!more && job.differences > found.length && isOver(job) && (
				<p className="dim">{count(job.differences - found.length)} more were counted and not kept.</p>
			)}
		</section>
	);
}

/** Ends a job, or forgets one that is over. */
function End({ job, close }: { job: Job; close: () => void }) {
	const [asking, setAsking] = useState(false);
	const queries = useQueryClient();
	const over = isOver(job);
	const act = useMutation({
		mutationFn: () => endJob({ path: { id: job.id } }),
		onSuccess: async () => {
			setAsking(false);
			if (over) {
				close();
			} else {
				await queries.invalidateQueries({ queryKey: ["job", job.id] });
			}
			await queries.invalidateQueries({ queryKey: ["jobs"] });
		},
	});
	return (
		<div className="danger">
			<div>
				<strong>{over ? "Forget it" : "End it"}</strong>
				<div>
					{over ? "What it found is forgotten with it; so it is by itself after a week." : "What it has done stays."}
				</div>
			</div>
			<Button
				variant="default"
				disabled={job.cancelling && !over}
				onClick={() => {
					act.reset();
					setAsking(true);
				}}
			>
				{over ? "Forget" : "End the job"}
			</Button>
			<Confirm
				title={over ? "Forget this job?" : "End this job?"}
				verb={over ? "Forget it" : "End it"}
				keep={over ? undefined : "Let it go on"}
				opened={asking}
				busy={act.isPending}
				error={act.error}
				act={() => act.mutate()}
				close={() => setAsking(false)}
			>
				{over ? (
					<>What it found is gone with it. Objects stay as they are.</>
				) : job.kind === "resync" ? (
					<>
						It ends where it is, and what it has done stays. {job.backend} serves no reads of what was not compared to
						the end, until another resync was.
					</>
				) : (
					<>It ends where it is, and what it has done stays.</>
				)}
			</Confirm>
		</div>
	);
}
