// Every page's script: htmx, and the small modules below.
import htmx from "htmx.org/dist/htmx.esm.js";
import { copyButtons } from "./copy.js";
import { confirmations } from "./confirm.js";
import { dialogs } from "./dialogs.js";
import { keys } from "./keys.js";
import { once } from "./once.js";
import { palette } from "./palette.js";
import { selections } from "./select.js";
import { tail } from "./tail.js";
import { theme } from "./theme.js";
import { times } from "./times.js";
import { unreachable } from "./unreachable.js";
import { unsaved } from "./unsaved.js";

document.documentElement.classList.add("scripted");
for (const module of [theme, dialogs, keys, palette, confirmations, times, copyButtons, selections, tail, unreachable, unsaved, once]) module(htmx);
