import { ActionIcon, AppShell, Burger, Text, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { signOut } from "../api/client";
import { version } from "../api/gen/sdk.gen";
import { Icon, type IconName, Mark } from "../parts/icons";
import { useMe } from "../session/gate";

type Place = { to: string; icon: IconName; label: string; admin?: boolean };

const places: Place[] = [
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
	return (
		<ul className="nav">
			{places
				.filter((p) => !p.admin || me.role === "admin")
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
	const about = useQuery({
		queryKey: ["version"],
		queryFn: async () => (await version()).data,
		staleTime: Number.POSITIVE_INFINITY,
	});
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
			{about.data && (
				<Text size="xs" c="dimmed" truncate title={`node ${about.data.node}, ${about.data.go}`}>
					{about.data.version} on {about.data.node}
				</Text>
			)}
		</>
	);
}

export function Shell() {
	const [open, { toggle, close }] = useDisclosure(false);
	const path = useRouterState({ select: (s) => s.location.pathname });
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
				<Foot />
			</AppShell.Navbar>
			<AppShell.Main id="main" tabIndex={-1} className="main">
				<div className="page">
					<Outlet />
				</div>
			</AppShell.Main>
		</AppShell>
	);
}
