import { Button, Group } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { ObjectEntry } from "../api/gen/types.gen";
import { remove } from "../api/objects";
import { several } from "../api/several";
import { Confirm } from "../parts/confirm";
import { Note } from "../parts/states";
import { bytes, count, many } from "../words/format";

/** Objects that are chosen in a list, by their exact keys. */
export type Choice = ReadonlyMap<string, ObjectEntry>;

export const exact = (o: ObjectEntry): string => o.key_encoded ?? o.key;

/** The choice without an object that was in it, or with one that was not. */
export function turned(choice: Choice, o: ObjectEntry): Choice {
	const next = new Map(choice);
	if (!next.delete(exact(o))) {
		next.set(exact(o), o);
	}
	return next;
}

/** What can be done with all that are chosen. */
export function Chosen({ bucket, choice, choose }: { bucket: string; choice: Choice; choose: (c: Choice) => void }) {
	const [asking, setAsking] = useState(false);
	const [done, setDone] = useState(0);
	const queries = useQueryClient();
	const all = [...choice.values()];
	const act = useMutation({
		mutationFn: () => several(all, (o) => remove(bucket, o), setDone),
		onSuccess: async (failed) => {
			setAsking(false);
			choose(new Map(failed.map(({ item }) => [exact(item), item])));
			await queries.invalidateQueries({ queryKey: ["objects", bucket] });
		},
	});
	const first = act.data?.[0];
	if (all.length === 0) {
		return null;
	}
	const what = many(all.length, "object");
	return (
		<section className="chosen" aria-label="Chosen objects">
			<span aria-live="polite">
				{what} chosen, {bytes(all.reduce((sum, o) => sum + o.size, 0))}
			</span>
			<Group gap="xs">
				<Button size="compact-sm" variant="default" onClick={() => choose(new Map())}>
					Choose none
				</Button>
				<Button
					size="compact-sm"
					variant="default"
					onClick={() => {
						act.reset();
						setDone(0);
						setAsking(true);
					}}
				>
					Delete {count(all.length)}
				</Button>
			</Group>
			{first && (
				<Note tone="bad" title={`${many(act.data?.length ?? 0, "object")} could not be deleted.`}>
					{first.item.key}: {first.error.message}
				</Note>
			)}
			<Confirm
				title={`Delete ${what}?`}
				verb="Delete them everywhere"
				keep="Keep them"
				opened={asking}
				busy={act.isPending}
				error={null}
				act={() => act.mutate()}
				close={() => !act.isPending && setAsking(false)}
			>
				{act.isPending
					? `${count(done)} of ${count(all.length)} are deleted.`
					: `They are removed from every backend of ${bucket}. There is no way back.`}
			</Confirm>
		</section>
	);
}
