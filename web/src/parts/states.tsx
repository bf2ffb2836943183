// What is shown when there is nothing to show: nothing yet, nothing at all, or an error.
import { Skeleton, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Refusal } from "../session/session";
import type { Tone } from "../words/tone";
import { Icon, type IconName } from "./icons";

const icons: Record<Tone, IconName> = { good: "good", busy: "busy", warn: "warn", bad: "bad", idle: "idle" };

/** One or two sentences in a colour. Errors are read out as they come. */
export function Note({ tone, title, children }: { tone: Tone; title?: string; children: ReactNode }) {
	return (
		<div className="note" data-tone={tone} role={tone === "bad" ? "alert" : "status"}>
			<Icon name={icons[tone]} />
			<div>
				{title && <strong>{title}</strong>}
				<div>{children}</div>
			</div>
		</div>
	);
}

/** An error in the place of what was asked for. */
export function Oops({ error, action }: { error: unknown; action?: ReactNode }) {
	const refusal = error instanceof Refusal ? error : undefined;
	return (
		<div className="blank" role="alert">
			<span className="blank-icon" data-tone="bad">
				<Icon name="bad" size={26} />
			</span>
			<Text fw={600}>{error instanceof Error ? error.message : "Something went wrong"}</Text>
			{refusal?.requestId && (
				<Text size="sm" c="dimmed">
					The log of the server knows it as request <code>{refusal.requestId}</code>.
				</Text>
			)}
			{action}
		</div>
	);
}

/** There is nothing here, why, and what to do about it. */
export function Blank({ icon, title, children }: { icon: IconName; title: string; children?: ReactNode }) {
	return (
		<div className="blank">
			<span className="blank-icon" data-tone="idle">
				<Icon name={icon} size={26} />
			</span>
			<Text fw={600}>{title}</Text>
			{children && (
				<Text size="sm" c="dimmed" component="div" maw="44ch">
					{children}
				</Text>
			)}
		</div>
	);
}

/** Rows that are still on their way. */
export function Waiting({ rows = 4, height = 44 }: { rows?: number; height?: number }) {
	return (
		<div className="waiting" role="status" aria-label="Loading">
			{Array.from({ length: rows }, (_, i) => (
				// biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
				<Skeleton key={i} height={height} radius="md" />
			))}
		</div>
	);
}
