// The types of a dashboard and its panels, from Grafana's schema. scripts/check-dashboard-types
// compares the dashboards with them.
import type * as grafana from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as stateTimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// A value in JSON: the text or the number of each member of an enumeration.
type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

// A query of Prometheus, which the schema leaves to the data source.
type Query = grafana.DataQuery & {
  expr: string;
  exemplar?: boolean;
  format?: "heatmap" | "table" | "time_series";
  instant?: boolean;
  interval?: string;
  legendFormat?: string;
  range?: boolean;
};

type Defaults<Custom> = Omit<grafana.FieldConfig, "custom"> & { custom?: Custom };

// What an override may set: an option of every panel, or one of this kind of panel.
type Property<Custom> =
  | { [Key in keyof Omit<grafana.FieldConfig, "custom">]-?: { id: Key; value?: grafana.FieldConfig[Key] } }[keyof Omit<grafana.FieldConfig, "custom">]
  // Grafana up to 12.1 hides columns of a table with this.
  | { id: "custom.hidden"; value: true }
  | { [Key in keyof Custom & string]-?: { id: `custom.${Key}`; value?: Custom[Key] } }[keyof Custom & string];

type PanelOf<Type, Options, Custom> = Json<
  Omit<grafana.Panel, "type" | "options" | "fieldConfig" | "links" | "targets"> & {
    targets?: Query[];
    links?: Partial<grafana.DashboardLink>[];
    type: Type;
    options: Options;
    fieldConfig: {
      defaults: Defaults<Custom>;
      overrides: Array<{ matcher: grafana.MatcherConfig; properties: Property<Custom>[] }>;
    };
  }
>;

export interface Panels {
  bargauge: PanelOf<"bargauge", bargauge.Options, {}>;
  heatmap: PanelOf<"heatmap", heatmap.Options, heatmap.FieldConfig>;
  row: Json<Omit<grafana.RowPanel, "panels">> & { panels: [] };
  stat: PanelOf<"stat", stat.Options, {}>;
  "state-timeline": PanelOf<"state-timeline", stateTimeline.Options, stateTimeline.FieldConfig>;
  table: PanelOf<"table", table.Options, table.FieldConfig>;
  timeseries: PanelOf<"timeseries", timeseries.Options, timeseries.FieldConfig>;
}

type Annotation = Omit<grafana.AnnotationQuery<Query>, "target"> & {
  target?: Query;
  // Fields of annotations of Prometheus.
  expr?: string;
  step?: string;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: boolean;
};

export type Dashboard = Json<
  Omit<grafana.Dashboard, "panels" | "annotations"> & { annotations: { list: Annotation[] } }
>;
