import {
	createHashHistory,
	createRootRoute,
	createRoute,
	createRouter,
	lazyRouteComponent,
	Navigate,
} from "@tanstack/react-router";
import { useAbout } from "../api/queries";
import { Blank, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { Shell } from "./shell";

const root = createRootRoute({ component: Shell });

// The first page is the first one that one may see; of a demo, the demo.
function Home() {
	const me = useMe();
	const about = useAbout();
	if (about.isPending) {
		return <Waiting />;
	}
	const first = about.data?.demo ? "/demo" : "/overview";
	return <Navigate to={me.role === "admin" ? first : "/objects"} replace />;
}

const home = createRoute({ getParentRoute: () => root, path: "/", component: Home });

const account = createRoute({
	getParentRoute: () => root,
	path: "/account",
	component: lazyRouteComponent(() => import("../pages/account"), "Account"),
});

const overview = createRoute({
	getParentRoute: () => root,
	path: "/overview",
	component: lazyRouteComponent(() => import("../pages/overview"), "Overview"),
});

const buckets = createRoute({
	getParentRoute: () => root,
	path: "/objects",
	component: lazyRouteComponent(() => import("../pages/buckets"), "Buckets"),
});

const objects = createRoute({
	getParentRoute: () => root,
	path: "/objects/$bucket",
	validateSearch: (search: Record<string, unknown>): { prefix: string } => ({
		prefix: typeof search.prefix === "string" || typeof search.prefix === "number" ? String(search.prefix) : "",
	}),
	component: lazyRouteComponent(() => import("../pages/objects"), "Objects"),
});

const replication = createRoute({
	getParentRoute: () => root,
	path: "/replication",
	validateSearch: (search: Record<string, unknown>): { backend?: string } =>
		search.backend === undefined ? {} : { backend: String(search.backend) },
	component: lazyRouteComponent(() => import("../pages/replication"), "Replication"),
});

const history = createRoute({
	getParentRoute: () => root,
	path: "/history",
	component: lazyRouteComponent(() => import("../pages/history"), "History"),
});

const demo = createRoute({
	getParentRoute: () => root,
	path: "/demo",
	component: lazyRouteComponent(() => import("../pages/demo"), "Demo"),
});

const users = createRoute({
	getParentRoute: () => root,
	path: "/users",
	component: lazyRouteComponent(() => import("../pages/users"), "Users"),
});

// Hashes, so that the server need know no path of the console and the console none
// that it stands below.
export const router = createRouter({
	routeTree: root.addChildren([home, overview, buckets, objects, replication, history, users, account, demo]),
	history: createHashHistory(),
	defaultPreload: "intent",
	defaultPendingComponent: () => <Waiting />,
	defaultErrorComponent: ({ error }) => <Oops error={error} />,
	defaultNotFoundComponent: () => (
		<Blank icon="search" title="There is no such page">
			It may have been in another version of the console.
		</Blank>
	),
	scrollRestoration: true,
});

declare module "@tanstack/react-router" {
	interface Register {
		router: typeof router;
	}
}
