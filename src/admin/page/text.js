// What the page says, in both languages. What the sidecar itself says (reasons, problems) is shown as it comes.
const TEXTS = {
  en: {
    skip: "Skip to content", views: "Views", theme: "Light or dark", token: "Token", environment: "environment", lane: "lane",
    version: "configuration", overview: "Overview", buckets: "Buckets", explain: "Explain", changes: "Changes", incidents: "Incidents",
    footer: "Figures are of the last second and of the last two minutes; the scale of each chart is the same for both lanes. For Prometheus: /metrics. For programs: /api/v1/openapi.json.",
    connecting: "connecting", ready: "ready", lost: "no answer from the sidecar, trying again", needsToken: "reading needs a token",
    rate: "Requests", errors: "Errors", p50: "P50", p99: "P99", gray: "gray", stable: "stable",
    openTo: "open to {level}", latched: "rolled back", paused: "paused", nobody: "closed", level_developer: "developer", level_ab: "A/B",
    level_region: "region", level_permille: "permille", level_full: "full", level_none: "none",
    set: "set", served: "really served", breakers: "Breakers", noBreakers: "no breaker watches these routes",
    breaker_closed: "closed", breaker_half_open: "half open", breaker_open: "open", verdict: "Gray against stable",
    "verdict_worse": "gray is worse", "verdict_not worse so far": "not worse so far", "verdict_no data": "no data yet",
    pause: "Pause", resume: "Resume", rollback: "Roll back", reset: "Reset", cancel: "Cancel", confirm: "Confirm", close: "Close",
    noReleases: "No release is configured", noReleasesWhy: "All traffic goes to stable.", routes: "Routes and lanes", upstreams: "Upstreams",
    route: "Route", share: "Share", inflight: "Under way", breaker: "Breaker", upstream: "Upstream", endpoint: "Endpoint", health: "Health",
    protocol: "Protocol", active: "Active", idle: "Idle", healthy: "healthy", unhealthy: "unhealthy", unknown: "unknown", panic: "panic: all are used",
    faults: "Faults on purpose", since: "since {time}", conditions: "{n} conditions", release: "Release",
    bucketsTitle: "A thousand buckets", bucketsWhy: "Each user falls into one of 1000 buckets for good. {admitted} of them are in gray by the bucket alone; a stronger colour means more requests.",
    findUser: "Find a user", userId: "User id", find: "Find", foundIn: "{key} is in bucket {bucket}, ", inGray: "in gray by the bucket", inStable: "not in gray by the bucket",
    foundMore: "Overrides, experiments, regions and conditions may say otherwise: see Explain.", requestsSeen: "{n} requests in {m} buckets",
    gridLabel: "{admitted} of 1000 buckets are in gray",
    method: "Method", url: "Path or URL", headers: "Headers, one a line", body: "Body", clientIp: "Client address (empty: a trusted peer)", explainIt: "Explain",
    explainEmpty: "Why does a request go where it goes?", explainEmptyWhy: "Describe one, and every step of the decision is shown.",
    goesTo: "goes to {lane}", by: "by", reason: "reason", levels: "Levels", facts: "Facts", conditionsHold: "Conditions", fact: "Fact", value: "Value", from: "From",
    tried: "tried", noConditions: "none", bucket: "bucket", closedLevel: "not open", whole: "Everything, as JSON", strategy: "Strategy",
    audit: "Audit trail", history: "Versions", plan: "Plan a change", planWhy: "Paste whole documents; nothing is changed.", planIt: "Plan", planNothing: "Nothing would change.",
    inForce: "in force", putBack: "Put back", when: "When", what: "What", who: "Who", noAudit: "Nothing has happened yet", size: "Size",
    actions: "Releases", action_applied: "configuration applied", action_refused: "configuration refused", action_rolled_back: "configuration put back", action_latched: "release rolled back",
    action_lifted: "release opened again", action_paused: "release paused", action_resumed: "release resumed", action_fault_set: "fault set", action_fault_removed: "fault removed", action_lost: "records lost",
    trailKept: "kept on disk", trailMemory: "kept in memory only",
    ask_pause: "Pause {release}?", ask_resume: "Resume {release}?", ask_rollback: "Roll {release} back?", ask_reset: "Open {release} again?", ask_version: "Put version {release} back?",
    does_pause: "Nothing may open it further until it is resumed. What runs goes on.", does_resume: "It may be opened again.",
    does_rollback: "All its users go to stable at once ({share} of 1000 buckets are in gray now), and it stays so until somebody resets it. Evidence is kept as an incident.",
    does_reset: "What took it back is over: it opens to {level} again, with {share} of 1000 buckets.", does_version: "It stays in force until its source changes.",
    reasonField: "Why (kept in the audit trail)", byField: "Your name", tokenField: "Token (kept in this page's memory only)", tokenTitle: "Show a token",
    tokenWhy: "Changes need one, and reading may. It is forgotten when the page is closed.", use: "Use it", forget: "Forget", done: "done", unchanged: "It was so already.",
    confirmField: "Digest of the plan, to let it through", noIncidents: "No incident", noIncidentsWhy: "No release has been rolled back.",
    incident: "Incident {n}", cause_openings: "breakers opened", cause_worse: "gray was worse", cause_figure: "a figure was bad", cause_person: "a person", cause_state_unreadable: "state unreadable",
    calls: "Calls", failures: "Failures", mean: "Mean", slow: "Slow", over: "Over", sinceStart: "since start", lastFailures: "Last failures", request: "Request", status: "Status", revision: "revision {n}",
    error: "Error",
    verdictLine: "errors: gray {errors}, stable {errorsStable}; slow calls: gray {slow}, stable {slowStable}; compared: {gray} gray and {stable} stable calls",
  },
  zh: {
    skip: "跳到正文", views: "视图", theme: "浅色或深色", token: "令牌", environment: "环境", lane: "泳道",
    version: "配置版本", overview: "总览", buckets: "分桶", explain: "解释", changes: "变更", incidents: "事件",
    footer: "数字为最近一秒，曲线为最近两分钟；每张图中两条泳道使用同一刻度。Prometheus：/metrics。程序接口：/api/v1/openapi.json。",
    connecting: "连接中", ready: "就绪", lost: "边车没有应答，正在重试", needsToken: "读取需要令牌",
    rate: "请求速率", errors: "错误率", p50: "P50", p99: "P99", gray: "灰度", stable: "稳定",
    openTo: "已开放到{level}", latched: "已回滚", paused: "已暂停", nobody: "未开放", level_developer: "开发者", level_ab: "A/B 实验",
    level_region: "区域", level_permille: "千分比", level_full: "全量", level_none: "无",
    set: "设定", served: "实际承接", breakers: "熔断器", noBreakers: "这些路由没有熔断器",
    breaker_closed: "闭合", breaker_half_open: "半开", breaker_open: "断开", verdict: "灰度对比稳定",
    "verdict_worse": "灰度更差", "verdict_not worse so far": "目前不比稳定差", "verdict_no data": "数据不足",
    pause: "暂停", resume: "恢复", rollback: "回滚", reset: "重新开放", cancel: "取消", confirm: "确认", close: "关闭",
    noReleases: "没有配置任何发布", noReleasesWhy: "所有流量都走稳定版本。", routes: "路由与泳道", upstreams: "上游",
    route: "路由", share: "占比", inflight: "进行中", breaker: "熔断器", upstream: "上游", endpoint: "端点", health: "健康",
    protocol: "协议", active: "活动", idle: "空闲", healthy: "健康", unhealthy: "不健康", unknown: "未知", panic: "恐慌：使用全部端点",
    faults: "故障演练", since: "自 {time}", conditions: "{n} 个条件", release: "发布",
    bucketsTitle: "一千个桶", bucketsWhy: "每位用户固定落在 1000 个桶之一。其中 {admitted} 个桶仅凭分桶进入灰度；颜色越深，请求越多。",
    findUser: "查找用户", userId: "用户 ID", find: "查找", foundIn: "{key} 位于第 {bucket} 桶，", inGray: "按分桶进入灰度", inStable: "按分桶不进入灰度",
    foundMore: "开发者覆盖、实验、区域和条件可能改变结果，详见“解释”。", requestsSeen: "{m} 个桶中共 {n} 个请求",
    gridLabel: "1000 个桶中有 {admitted} 个进入灰度",
    method: "方法", url: "路径或 URL", headers: "请求头，每行一个", body: "请求体", clientIp: "客户端地址（留空为可信对端）", explainIt: "解释",
    explainEmpty: "一个请求为什么去了那里？", explainEmptyWhy: "描述一个请求，这里会列出决策的每一步。",
    goesTo: "走{lane}", by: "级别", reason: "原因", levels: "级别", facts: "事实", conditionsHold: "条件", fact: "事实", value: "值", from: "来源",
    tried: "尝试过", noConditions: "无", bucket: "桶", closedLevel: "未开放", whole: "完整 JSON", strategy: "策略",
    audit: "审计记录", history: "历史版本", plan: "预演变更", planWhy: "粘贴完整文档；不会改变任何东西。", planIt: "预演", planNothing: "不会有任何变化。",
    inForce: "生效中", putBack: "恢复此版本", when: "时间", what: "内容", who: "操作人", noAudit: "尚无记录", size: "大小",
    actions: "发布", action_applied: "配置已生效", action_refused: "配置被拒绝", action_rolled_back: "配置已恢复旧版", action_latched: "发布已回滚",
    action_lifted: "发布已重新开放", action_paused: "发布已暂停", action_resumed: "发布已恢复", action_fault_set: "已设置故障", action_fault_removed: "已移除故障", action_lost: "记录丢失",
    trailKept: "已保存到磁盘", trailMemory: "仅保存在内存中",
    ask_pause: "暂停 {release}？", ask_resume: "恢复 {release}？", ask_rollback: "回滚 {release}？", ask_reset: "重新开放 {release}？", ask_version: "恢复版本 {release}？",
    does_pause: "恢复之前不能再扩大开放；正在运行的保持不变。", does_resume: "可以再次开放。",
    does_rollback: "其所有用户立即回到稳定版本（当前 1000 个桶中有 {share} 个在灰度），并保持到有人重新开放。证据会保存为事件。",
    does_reset: "回滚原因已解除：重新开放到{level}，1000 个桶中的 {share} 个进入灰度。", does_version: "它将保持生效，直到来源改变。",
    reasonField: "原因（写入审计记录）", byField: "你的名字", tokenField: "令牌（只保存在本页内存中）", tokenTitle: "出示令牌",
    tokenWhy: "变更需要令牌，读取也可能需要。关闭页面后即被遗忘。", use: "使用", forget: "忘记", done: "完成", unchanged: "原本就是如此。",
    confirmField: "预演摘要（用于放行）", noIncidents: "没有事件", noIncidentsWhy: "没有发布被回滚过。",
    incident: "事件 {n}", cause_openings: "熔断器多次断开", cause_worse: "灰度更差", cause_figure: "指标超限", cause_person: "人工", cause_state_unreadable: "状态不可读",
    calls: "调用", failures: "失败", mean: "均值", slow: "慢调用", over: "区间", sinceStart: "自启动", lastFailures: "最近失败", request: "请求", status: "状态", revision: "修订 {n}",
    error: "错误",
    verdictLine: "错误率：灰度 {errors}，稳定 {errorsStable}；慢调用：灰度 {slow}，稳定 {slowStable}；已比较灰度 {gray} 次、稳定 {stable} 次调用",
  },
};

// What somebody chose is kept where the browser allows it; never the token.
function kept(name) {
  try { return localStorage.getItem("graylane-" + name); } catch { return null; }
}
function keep(name, value) {
  try { localStorage.setItem("graylane-" + name, value); } catch { /* then it is forgotten */ }
}

let language = kept("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let theme = kept("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

// The text of this name with {places} filled; words that the sidecar may add one day are shown as they are.
function t(name, places = {}) {
  const text = TEXTS[language][name] ?? TEXTS.en[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, place) => String(places[place] ?? ""));
}
const word = (kind, value) => (TEXTS.en[kind + "_" + value] ? t(kind + "_" + value) : String(value).replaceAll("_", " "));
const laneWord = (lane) => (lane === "gray" || lane === "stable" ? t(lane) : lane);
