import { Button, Group, Modal, SegmentedControl, Stack, Switch, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { presignObject } from "../api/gen/sdk.gen";
import { moment } from "../words/format";
import { Copied } from "./copied";
import { Note } from "./states";

const lives = [
	{ value: "3600", label: "1 hour" },
	{ value: "86400", label: "1 day" },
	{ value: "604800", label: "7 days" },
];

/** Makes a link that opens one object to whoever has it. */
export function LinkIt({ bucket, name, close }: { bucket: string; name: string; close: () => void }) {
	const [life, setLife] = useState("86400");
	const [save, setSave] = useState(false);
	const make = useMutation({
		mutationFn: async () =>
			(
				await presignObject({
					path: { bucket },
					query: { key: name },
					body: { method: "GET", expires_in: Number(life), download: save },
				})
			).data,
	});
	return (
		<Modal opened onClose={close} title="Link to this object" centered closeButtonProps={{ "aria-label": "Close" }}>
			{make.data ? (
				<Stack>
					<Text size="sm">
						Whoever has it may read <code>{name}</code> until {moment(make.data.expires)}, and nothing else. It ends
						before that when your password changes, or when you are disabled.
					</Text>
					<Copied label="Link" value={make.data.url} line />
					<Group justify="flex-end">
						<Button onClick={close}>Done</Button>
					</Group>
				</Stack>
			) : (
				<Stack>
					<div>
						<Text size="sm" fw={500} mb={6} id="link-life">
							Good for
						</Text>
						<SegmentedControl fullWidth aria-labelledby="link-life" data={lives} value={life} onChange={setLife} />
					</div>
					<Switch
						label="Save as a file"
						description="Instead of showing it in the browser"
						checked={save}
						onChange={(e) => setSave(e.currentTarget.checked)}
					/>
					{make.isError && <Note tone="bad">{make.error.message}</Note>}
					<Group justify="flex-end">
						<Button variant="default" onClick={close}>
							Cancel
						</Button>
						<Button loading={make.isPending} onClick={() => make.mutate()}>
							Make the link
						</Button>
					</Group>
				</Stack>
			)}
		</Modal>
	);
}
