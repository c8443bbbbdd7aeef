/* admin.jsx - for administrators: people, usage, services, and who changed what. */

import { t } from "../lib/i18n.js";
import { hrefOf, route } from "../lib/router.js";
import { isKnown, user } from "../state/session.js";
import { Failure, Spinner } from "../view/parts.jsx";
import { Audit } from "./admin/audit.jsx";
import { Services } from "./admin/services.jsx";
import { Usage } from "./admin/usage.jsx";
import { Users } from "./admin/users.jsx";

const TABS = { users: Users, usage: Usage, services: Services, audit: Audit };

export default function Admin() {
  if (!isKnown.value) {
    return <Spinner />;
  }
  if (user.value?.role !== "admin") {
    return <Failure text={t("admin.forbidden")} />;
  }
  const chosen = Object.hasOwn(TABS, route.value.part) ? route.value.part : "users";
  const Tab = TABS[chosen];
  return (
    <div class="page" tabIndex={0} role="region" aria-label={t("admin")}>
      <div class="page-inside wide">
        <nav class="tabs" aria-label={t("admin")}>
          {Object.keys(TABS).map((name) => (
            <a key={name} href={hrefOf("admin", name)} aria-current={name === chosen ? "page" : undefined}>{t(`admin.${name}`)}</a>
          ))}
        </nav>
        <Tab />
      </div>
    </div>
  );
}
