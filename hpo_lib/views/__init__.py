"""Figures, tables and texts on data, studies and families, for notebooks and for the thesis.

study_page: show_data, show_study, show_record, write_page
study_tables: banner, data_summary, short_scores, unshortened
study_figures: data_overview, forecast_days
family_report: stacks, fusion, periods
leak_figure: price_table, price_figure
explorer: Explorer
explorer_data: find_studies, daily_errors
model_card: render_card
model_style: model_name, model_colour, model_marker, in_order, number, with_interval, unit_text, warning_text, finished,
    date_axis, no_negative_demand, aligned, readable, MISSING, ACCENT, BLUE, PINK, SKY_BLUE
"""
