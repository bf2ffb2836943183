import { Title } from "@mantine/core";
import type { ReactNode } from "react";

/** The head of a page: what it is, and what can be done on it. */
export function Page({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
	return (
		<>
			<title>{`${title} · s3mirror`}</title>
			<header className="page-head">
				<Title order={1}>{title}</Title>
				{actions && <div className="page-actions">{actions}</div>}
			</header>
			{children}
		</>
	);
}

/** A part of a page on a surface of its own. */
export function Panel({
	title,
	note,
	actions,
	flush,
	children,
}: {
	title: string;
	note?: ReactNode;
	actions?: ReactNode;
	flush?: boolean;
	children: ReactNode;
}) {
	return (
		<section className="panel" data-flush={flush || undefined} aria-label={title}>
			<header className="panel-head">
				<div>
					<Title order={2}>{title}</Title>
					{note && <div className="panel-note">{note}</div>}
				</div>
				{actions}
			</header>
			<div className="panel-body">{children}</div>
		</section>
	);
}
