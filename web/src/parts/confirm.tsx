import { Button, Group, Modal, Stack } from "@mantine/core";
import type { ReactNode } from "react";
import { Note } from "./states";

type Asked = {
	title: string;
	verb: string;
	keep?: string; // what the other button says
	children: ReactNode;
	opened: boolean;
	busy: boolean;
	error: Error | null;
	act: () => void;
	close: () => void;
};

/** Asks before something that cannot be taken back. */
export function Confirm({ title, verb, keep = "Keep it", children, opened, busy, error, act, close }: Asked) {
	return (
		<Modal opened={opened} onClose={close} title={title} centered closeButtonProps={{ "aria-label": "Close" }}>
			<Stack>
				<div>{children}</div>
				{error && <Note tone="bad">{error.message}</Note>}
				<Group justify="flex-end">
					<Button variant="default" onClick={close} data-autofocus>
						{keep}
					</Button>
					<Button color="red.8" loading={busy} onClick={act}>
						{verb}
					</Button>
				</Group>
			</Stack>
		</Modal>
	);
}
