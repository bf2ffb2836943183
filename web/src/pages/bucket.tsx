import { Button, Drawer, Group, NativeSelect, Stack } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { deleteBucket, getBucket, updateBucket } from "../api/gen/sdk.gen";
import type { Bucket } from "../api/gen/types.gen";
import { Tag } from "../parts/badge";
import { Confirm } from "../parts/confirm";
import { Facts } from "../parts/facts";
import { Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { moment } from "../words/format";
import { ackMeans, bucketMeans, bucketTone } from "../words/place";
import { promise } from "../words/replication";

/** One bucket: where it stands, when a write to it is answered, and its end. */
export function OneBucket({ name, close }: { name: string; close: () => void }) {
	const me = useMe();
	const bucket = useQuery({
		queryKey: ["bucket", name],
		queryFn: async () => (await getBucket({ path: { bucket: name } })).data,
	});
	const b = bucket.data;
	return (
		<Drawer opened onClose={close} title={name} position="right" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
			{bucket.isPending ? (
				<Waiting />
			) : b === undefined ? (
				<Oops error={bucket.error} action={<Button onClick={() => bucket.refetch()}>Try again</Button>} />
			) : (
				<Stack gap="xl">
					{b.deleting && <Note tone="warn">Its deletion has begun and is not over.</Note>}
					<div className="job-facts">
						<Facts
							facts={[
								["Made", moment(b.created)],
								["Mode", `${promise(b.mode, b.primary)}${b.own_mode ? " Set for this bucket." : ""}`],
							]}
						/>
					</div>
					<Stands b={b} />
					{me.role === "admin" ? (
						<Ack b={b} key={JSON.stringify(b.ack)} />
					) : (
						<p className="dim">{ackMeans(b.ack, b.replicas.length)}</p>
					)}
					{me.scopes.includes("write") && <Remove name={name} />}
				</Stack>
			)}
		</Drawer>
	);
}

function Stands({ b }: { b: Bucket }) {
	return (
		<section aria-label="Where it stands">
			<h2 className="section-title">Where it stands</h2>
			<ul className="replicas">
				{b.replicas.map((r) => (
					<li key={r.backend}>
						<strong>{r.backend}</strong>
						<Tag tone={bucketTone[r.state]}>{r.state}</Tag>
						<span>
							{r.reason ?? bucketMeans[r.state]}
							{r.name !== b.name && (
								<>
									{", as "}
									<code>{r.name}</code>
								</>
							)}
						</span>
					</li>
				))}
			</ul>
		</section>
	);
}

/** When a write to it is answered, and another rule for that. */
function Ack({ b }: { b: Bucket }) {
	const now = b.own_ack ? b.ack.at_least : 0;
	const [least, setLeast] = useState(now);
	const queries = useQueryClient();
	const save = useMutation({
		mutationFn: () => updateBucket({ path: { bucket: b.name }, body: { ack: { at_least: least } } }),
		onSuccess: () => queries.invalidateQueries({ queryKey: ["bucket", b.name] }),
	});
	const n = b.replicas.length;
	return (
		<section aria-label="When a write is answered">
			<h2 className="section-title">When a write is answered</h2>
			<Group align="end" gap="sm" wrap="nowrap">
				<NativeSelect
					className="grows"
					label="Rule"
					value={String(least)}
					onChange={(e) => setLeast(Number(e.currentTarget.value))}
					data={[
						{ value: "0", label: "What the configuration says" },
						...Array.from({ length: n }, (_, i) => ({
							value: String(i + 1),
							label: `${i + 1} of ${n} have it`,
						})),
					]}
				/>
				<Button disabled={least === now} loading={save.isPending} onClick={() => save.mutate()}>
					Save
				</Button>
			</Group>
			<p className="dim">
				{least === 0 && b.own_ack
					? "The rule of the configuration is in force again from the next write."
					: ackMeans(least === now ? b.ack : { at_least: least, include: [] }, n)}
			</p>
			{save.isError && <Note tone="bad">{save.error.message}</Note>}
		</section>
	);
}

function Remove({ name }: { name: string }) {
	const [asking, setAsking] = useState(false);
	const navigate = useNavigate();
	const queries = useQueryClient();
	const remove = useMutation({
		mutationFn: () => deleteBucket({ path: { bucket: name } }),
		onSuccess: async () => {
			await navigate({ to: "/objects" });
			await queries.invalidateQueries({ queryKey: ["buckets"] });
		},
	});
	return (
		<div className="danger">
			<div>
				<strong>Delete</strong>
				<div>Once it is empty; from every backend.</div>
			</div>
			<Button variant="outline" color="red.8" className="red-outline" onClick={() => setAsking(true)}>
				Delete
			</Button>
			<Confirm
				title={`Delete ${name}?`}
				verb={`Delete ${name}`}
				opened={asking}
				busy={remove.isPending}
				error={remove.error}
				act={() => remove.mutate()}
				close={() => {
					setAsking(false);
					remove.reset();
				}}
			>
				It goes from every backend. A bucket that holds objects is refused.
			</Confirm>
		</div>
	);
}
