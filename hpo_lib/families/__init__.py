"""Model families and what they share: search spaces, windows, feature table, linear baseline, layers.

contract: RECIPES, STANDARD, Budget, Family, Forecaster, Params, Recipe, family_names, get_family,
    read_recipe, unknown_family
search_space: RECIPE_SPACE, Choice, Dimension, FloatRange, IntRange, boundary_advice, in_words, is_drawn,
    value_in_words, WITH_TEMPERATURE
recipe_space: default_params, drawn, is_whole, search_space
portfolio: portfolio, series
weather_inputs: input_names, weather_inputs
feature_table: FeatureTable, level_floor, linear_features, make_feature_table
linear_baseline: LinearBaseline, covers_seasons
scaling: Scaling
windows: VERSION, TrainingWindows, WindowSource
darts_family: DartsFamily, DartsForecaster
stored_model: plain, restored
insight: FusionWeights, Periods, StackForecasts, fusion_weights, periods, stack_forecasts
quiet: quiet_libraries
"""
