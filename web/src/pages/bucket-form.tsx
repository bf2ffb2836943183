import { Button, Checkbox, Group, Modal, SegmentedControl, Stack, Switch, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { createBucket } from "../api/gen/sdk.gen";
import { useStatus } from "../api/queries";
import { Note } from "../parts/states";
import { useMe } from "../session/gate";
import { anywhere, lackOf, newBucket, type Place, placeMeans, turned } from "../words/place";

/** Makes a bucket; administrators say where. */
export function NewBucket({ close }: { close: () => void }) {
	const admin = useMe().role === "admin";
	const [name, setName] = useState("");
	const [place, setPlace] = useState(anywhere);
	const queries = useQueryClient();
	const make = useMutation({
		mutationFn: () => createBucket({ body: newBucket(name, place) }),
		onSuccess: async () => {
			await queries.invalidateQueries({ queryKey: ["buckets"] });
			close();
		},
	});
	const submit = (e: FormEvent) => {
		e.preventDefault();
		make.mutate();
	};
	const lack = lackOf(place);
	return (
		<Modal opened onClose={close} title="New bucket" centered closeButtonProps={{ "aria-label": "Close" }}>
			<form onSubmit={submit}>
				<Stack>
					<TextInput
						label="Name"
						description="3 to 63 lower-case letters, digits, dots and hyphens"
						required
						withAsterisk={false}
						autoComplete="off"
						autoCapitalize="none"
						data-autofocus
						value={name}
						onChange={(e) => setName(e.currentTarget.value)}
					/>
					{admin && <Where name={name} place={place} set={setPlace} />}
					{make.isError && <Note tone="bad">{make.error.message}</Note>}
					<Group justify="flex-end">
						<Button variant="default" onClick={close}>
							Cancel
						</Button>
						<Button type="submit" loading={make.isPending} disabled={lack !== undefined} title={lack}>
							Make the bucket
						</Button>
					</Group>
				</Stack>
			</form>
		</Modal>
	);
}

/** The backends that hold it, and its name on each. */
function Where({ name, place, set }: { name: string; place: Place; set: (p: Place) => void }) {
	const backends = useStatus().data?.backends ?? [];
	return (
		<>
			<div>
				<Text size="sm" fw={500} mb={6} id="where">
					Stands on
				</Text>
				<SegmentedControl
					aria-labelledby="where"
					fullWidth
					value={place.chosen ? "these" : "all"}
					onChange={(v) => set({ ...place, chosen: v === "these" })}
					data={[
						{ value: "all", label: "As configured" },
						{ value: "these", label: "These backends" },
					]}
				/>
			</div>
			{place.chosen && (
				<ul className="places" aria-labelledby="where">
					<li className="dim" aria-hidden="true">
						<span>Backend</span>
						<span>Its name there, where it differs</span>
					</li>
					{backends.map((b) => {
						const there = place.names[b.name];
						return (
							<li key={b.name}>
								<Checkbox label={b.name} checked={there !== undefined} onChange={() => set(turned(place, b.name))} />
								{there !== undefined && (
									<TextInput
										size="xs"
										aria-label={`Its name on ${b.name}`}
										placeholder={name || "the same name"}
										autoComplete="off"
										autoCapitalize="none"
										value={there}
										onChange={(e) => set({ ...place, names: { ...place.names, [b.name]: e.currentTarget.value } })}
									/>
								)}
							</li>
						);
					})}
				</ul>
			)}
			{place.chosen && (
				<Switch
					label="What stands there already is equal"
					description="You vouch for it: a bucket that holds objects on some of them is taken as it is, and not compared"
					checked={place.equal}
					onChange={(e) => set({ ...place, equal: e.currentTarget.checked })}
				/>
			)}
			{placeMeans(place) && <Text size="sm">{placeMeans(place)}</Text>}
		</>
	);
}
