import { ActionIcon, AppShell, Burger, Text, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { signOut } from "../api/client";
import { listen, useLive } from "../api/live";
import { useAbout } from "../api/queries";
import { useUploads } from "../api/uploads";
import { Icon, type IconName, Mark } from "../parts/icons";
import { Page } from "../parts/page";
import { Blank } from "../parts/states";
import { useMe } from "../session/gate";

type Place = { to: string; icon: IconName; label: string; admin?: boolean; demo?: boolean };

const places: Place[] = [
	{ to: "/demo", icon: "play", label: "Demo", admin: true, demo: true },
	{ to: "/overview", icon: "overview", label: "Overview", admin: true },
	{ to: "/objects", icon: "objects", label: "Objects" },
	{ to: "/replication", icon: "replication", label: "Replication", admin: true },
	{ to: "/history", icon: "history", label: "History", admin: true },
	{ to: "/users", icon: "users", label: "Users", admin: true },
	{ to: "/account", icon: "account", label: "Account" },
];

const schemes = [
	{ value: "auto", icon: "system", label: "As the system" },
	{ value: "light", icon: "sun", label: "Light" },
	{ value: "dark", icon: "moon", label: "Dark" },
] as const;

/** Goes through the colour schemes. */
function Scheme() {
	const { colorScheme, setColorScheme } = useMantineColorScheme();
	const at = schemes.findIndex((s) => s.value === colorScheme);
	const now = schemes[at] ?? schemes[0];
	const next = schemes[(at + 1) % schemes.length] ?? schemes[0];
	return (
		<ActionIcon
			variant="subtle"
			color="gray"
			size="lg"
			title={`Colours: ${now.label}`}
			aria-label={`Colours: ${now.label}. Change to: ${next.label}`}
			onClick={() => setColorScheme(next.value)}
		>
			<Icon name={now.icon} />
		</ActionIcon>
	);
}

function Nav({ close }: { close: () => void }) {
	const me = useMe();
	const about = useAbout();
	return (
		<ul className="nav">
			{places
				.filter((p) => (!p.admin || me.role === "admin") && (!p.demo || about.data?.demo))
				.map((p) => (
					<li key={p.to}>
						<Link
							to={p.to}
							className="nav-link"
							activeProps={{ "data-active": true, "aria-current": "page" } as object}
							onClick={close}
						>
							<Icon name={p.icon} />
							{p.label}
						</Link>
					</li>
				))}
		</ul>
	);
}

function Foot() {
	const me = useMe();
	const out = useMutation({ mutationFn: signOut });
	const about = useAbout();
	return (
		<>
			<div className="foot">
				<div className="foot-who">
					<Text size="sm" fw={600} truncate>
						{me.login}
					</Text>
					<Text size="xs" c="dimmed">
						{me.role === "admin" ? "Administrator" : "User"}
					</Text>
				</div>
				<Scheme />
				<ActionIcon
					variant="subtle"
					color="gray"
					size="lg"
					title="Sign out"
					aria-label="Sign out"
					loading={out.isPending}
					onClick={() => out.mutate()}
				>
					<Icon name="out" />
				</ActionIcon>
			</div>
			{out.isError && (
				<Text size="xs" c="var(--s3m-bad)" role="alert">
					{out.error.message}
				</Text>
			)}
			<div className="about">
				{me.role === "admin" && <Pulse />}
				{about.data && (
					<Text size="xs" c="dimmed" truncate title={`node ${about.data.node}, ${about.data.go}`}>
						{about.data.version} on {about.data.node}
					</Text>
				)}
			</div>
		</>
	);
}

/** Whether what is shown comes by itself, or is asked for every few seconds. */
function Pulse() {
	const live = useLive();
	const says = live ? "Live: the server tells what changes" : "The server is asked every few seconds";
	return (
		<span className="pulse" data-tone={live ? "good" : "idle"} title={says}>
			<span className="dot" aria-hidden="true" />
			{live ? "live" : "polling"}
		</span>
	);
}

/** What is on its way, wherever one looks. */
function Going() {
	const list = useUploads().filter((u) => u.state === "going" || u.state === "waiting");
	const [first] = list;
	if (!first) {
		return null;
	}
	const sum = (of: (u: (typeof list)[number]) => number) => list.reduce((a, u) => a + of(u), 0);
	const part = Math.floor(
		(100 * sum((u) => u.sent)) /
			Math.max(
				1,
				sum((u) => u.file.size),
			),
	);
	return (
		<Link to="/objects/$bucket" params={{ bucket: first.bucket }} search={{ prefix: "" }} className="going">
			<Icon name="upload" size={16} />
			<span>
				{list.length === 1 ? "1 upload" : `${list.length} uploads`}, {part} %
			</span>
		</Link>
	);
}

/** In the place of a page for administrators, of which nothing is asked for anybody else. */
function Barred({ title }: { title: string }) {
	return (
		<Page title={title}>
			<section className="panel">
				<Blank icon="key" title="This page is for administrators">
					You may look at the objects that you have access to, and at your account.
				</Blank>
			</section>
		</Page>
	);
}

/** Listens for as long as an administrator is signed in. */
function useStream(admin: boolean) {
	const queries = useQueryClient();
	useEffect(() => {
		if (admin) {
			const stop = new AbortController();
			void listen(queries, stop.signal);
			return () => stop.abort();
		}
	}, [admin, queries]);
}

export function Shell() {
	const admin = useMe().role === "admin";
	useStream(admin);
	const [open, { toggle, close }] = useDisclosure(false);
	const path = useRouterState({ select: (s) => s.location.pathname });
	const barred = admin ? undefined : places.find((p) => p.admin && path.startsWith(p.to));
	// A new page is read from its start, by eye and by ear.
	// biome-ignore lint/correctness/useExhaustiveDependencies: the path is what it is about
	useEffect(() => {
		document.getElementById("main")?.focus({ preventScroll: true });
	}, [path]);
	return (
		<AppShell
			layout="alt"
			header={{ height: { base: 56, sm: 0 } }}
			navbar={{ width: 232, breakpoint: "sm", collapsed: { mobile: !open } }}
			padding={0}
		>
			<button type="button" className="skip" onClick={() => document.getElementById("main")?.focus()}>
				Skip to the content
			</button>
			<AppShell.Header hiddenFrom="sm" className="top">
				<Burger opened={open} onClick={toggle} size="sm" aria-label={open ? "Close the menu" : "Open the menu"} />
				<Mark size={24} />
				<Text fw={650}>s3mirror</Text>
			</AppShell.Header>
			<AppShell.Navbar className="side" aria-label="Pages">
				<div className="brand">
					<Mark />
					<Text fw={650} size="lg">
						s3mirror
					</Text>
					<Burger opened onClick={close} size="sm" hiddenFrom="sm" ml="auto" aria-label="Close the menu" />
				</div>
				<Nav close={close} />
				<Going />
				<Foot />
			</AppShell.Navbar>
			<AppShell.Main id="main" tabIndex={-1} className="main">
				<div className="page">{barred ? <Barred title={barred.label} /> : <Outlet />}</div>
			</AppShell.Main>
		</AppShell>
	);
}
