# What is above this line was written at the export: the table's name, and what the page showed then. The rest is the same for
# every study. Needs R 4 with lme4 (Debian: apt-get install r-base-core r-cran-lme4).
#
# Where lme4 and the page differ in definition:
# - Both maximise the restricted likelihood of the same model, with different optimisers: coefficients agree closely, not exactly.
# - The page's intervals are estimate +- 1.96 standard errors: confint(fit, method = "Wald"). lme4's default are profile intervals.
# - The page tests equal slopes by Wald's chi-square. anova(fit, fit0) would compare likelihoods, and fits both by ML anew.
# - The page leaves out sample types whose distance does not vary (genuine pairs); so does this script.

suppressPackageStartupMessages(library(lme4))

called <- grep("^--file=", commandArgs(FALSE), value = TRUE)
folder <- if (length(called)) dirname(gsub("~+~", " ", sub("^--file=", "", called[1]), fixed = TRUE)) else "." # R's way with spaces
path <- file.path(folder, TABLE)
if (!file.exists(path)) stop("The table ", TABLE, " is not beside this script; export both again, or change TABLE above.")
if (grepl("[.]parquet$", TABLE)) {
  if (!requireNamespace("arrow", quietly = TRUE)) stop("R reads Parquet with the package 'arrow'; install it, or export a .csv.")
  answers <- as.data.frame(arrow::read_parquet(path))
} else {
  answers <- read.csv(path, fileEncoding = "UTF-8-BOM", na.strings = "", stringsAsFactors = FALSE)
}
for (name in c("rater", "stimulus")) answers[[name]] <- as.character(answers[[name]])

counted <- answers[answers$excluded == 0 & answers$source != "model", ]
cat(nrow(answers), "answers, of which", nrow(counted), "count.\n")
if (any(answers$simulated == 1)) cat("SIMULATED: answers of simulated observers and not of people.\n")

# Similarity: each type of sample has a level (at the mean distance) and a slope; each rater and each pair has a level of its own.
fit_similarity <- function(counted) {
  rows <- counted[counted$task == "similarity" & !is.na(counted[[DISTANCE]]), ]
  rows$distance <- rows[[DISTANCE]]
  pairs <- unique(rows[c("stimulus", "sample_type", "distance")])
  varies <- function(type) {
    d <- pairs$distance[pairs$sample_type == type]
    length(d) >= 3 && diff(range(d)) > 1e-9
  }
  types <- Filter(varies, TYPES)
  rows <- rows[rows$sample_type %in% types, ]
  centre <- mean(rows$distance)
  rows$centred <- rows$distance - centre
  rows$type <- factor(rows$sample_type, levels = types)
  if (length(types) == 1) {
    fit <- lmer(similarity ~ centred + (1 | rater) + (1 | stimulus), rows, REML = TRUE)
  } else {
    fit <- lmer(similarity ~ 0 + type + type:centred + (1 | rater) + (1 | stimulus), rows, REML = TRUE)
  }
  cat("\nSimilarity, levels at a distance of", format(centre, digits = 4), "and slopes a unit of", DISTANCE, "\n")
  print(summary(fit, correlation = FALSE))
  list(fit = fit, types = types)
}

compare_with_page <- function(fitted) {
  name <- c(paste("level", fitted$types), paste("slope", fitted$types))
  here <- data.frame(lme4 = unname(fixef(fitted$fit)), error = sqrt(diag(as.matrix(vcov(fitted$fit)))), row.names = name)
  here$page <- PAGE$estimate[match(name, PAGE$coefficient)]
  here$difference <- (here$lme4 - here$page) / here$error # in standard errors
  cat("\nCoefficients beside the page's; difference in standard errors:\n")
  print(here, digits = 6)
  spread <- as.data.frame(VarCorr(fitted$fit))
  cat("\nStandard deviations of raters, pairs and single answers:\n")
  print(rbind(lme4 = spread$sdcor[match(c("rater", "stimulus", "Residual"), spread$grp)], page = PAGE$deviations), digits = 5)
  largest <- max(abs(here$difference))
  cat("\nLargest difference from the page:", format(largest, digits = 2), "standard errors",
      if (largest <= AGREEMENT) "(the same).\n" else "(NOT the same: were answers added, or rows taken out?).\n")
}

# Identity: the chance of "the same person" falls with distance; attention checks left out, distance in standard deviations.
fit_identity <- function(counted) {
  rows <- counted[counted$task == "identity" & counted$is_sentinel == 0 & !is.na(counted[[DISTANCE]]), ]
  rows$distance <- as.numeric(scale(rows[[DISTANCE]]))
  cat("\nSame person, by distance in standard deviations of", format(sd(rows[[DISTANCE]]), digits = 4), "\n")
  print(summary(glmer(same_person ~ distance + (1 | rater) + (1 | stimulus), rows, binomial,
                      control = glmerControl(optimizer = "bobyqa")), correlation = FALSE))
}

# Choice: of the two emotions that a face lies between, the first is named more often where the guiding classifier leans to it.
fit_choice <- function(counted) {
  rows <- counted[counted$is_sentinel == 0 & !is.na(counted$chose_emotion1), ]
  of <- function(emotion) {
    p <- rep(NA_real_, nrow(rows))
    for (one in unique(emotion)) p[emotion == one] <- rows[[paste0(GUIDING, "_", one)]][emotion == one]
    pmax(p, 1e-6)
  }
  rows$lean <- log(of(rows$emotion1) / of(rows$emotion2))
  rows <- rows[!is.na(rows$lean), ]
  deviation <- sd(rows$lean)
  formula <- chose_emotion1 ~ 1 + (1 | rater) + (1 | stimulus)
  if (deviation > 1e-9) {
    rows$lean <- as.numeric(scale(rows$lean))
    formula <- chose_emotion1 ~ lean + (1 | rater) + (1 | stimulus)
  }
  cat("\nFirst of the two emotions, by the classifier's log odds in standard deviations of", format(deviation, digits = 4), "\n")
  print(summary(glmer(formula, rows, binomial, control = glmerControl(optimizer = "bobyqa")), correlation = FALSE))
}

has_several_types <- function(rows) length(unique(na.omit(rows$sample_type))) > 1

# As the page counts: every image counts alike, however many answered about it. value: a number an answer; by type, and all together.
average_over_images <- function(rows, value) {
  image <- tapply(value, rows$stimulus, mean)
  type <- rows$sample_type[match(names(image), rows$stimulus)]
  c(all = mean(image), if (has_several_types(rows)) tapply(image, type, mean))
}

# A rating on the study's own scale, by type of sample; each rater and each image has a level of its own.
fit_rating <- function(counted) {
  rows <- counted[counted$task == "scale" & counted$is_sentinel == 0, ]
  several <- has_several_types(rows)
  cat("\nMean rating, averaged over images, as the page's chapter 'Ratings' shows it:\n")
  print(average_over_images(rows, rows$rating), digits = 4)
  formula <- if (several) rating ~ sample_type + (1 | rater) + (1 | stimulus) else rating ~ 1 + (1 | rater) + (1 | stimulus)
  cat("\nRating", if (several) "by type of sample", "\n")
  print(summary(lmer(formula, rows, REML = TRUE), correlation = FALSE))
}

# The study's own labels have no order: each is set against all others (of two labels, the first against the second). Log odds by
# type of sample; each rater and each image has a level of its own.
fit_labels <- function(counted) {
  rows <- counted[counted$task == "label" & counted$is_sentinel == 0, ]
  labels <- sort(unique(rows$label))
  cat("\nShare of each label, averaged over images, as the page's chapter 'Answers' shows it, per cent:\n")
  shares <- lapply(setNames(labels, labels), function(label) average_over_images(rows, rows$label == label))
  print(round(100 * do.call(cbind, shares), 1))
  if (length(labels) == 1) return(cat("\nEverybody chose the same label, so that there is nothing to fit.\n"))
  several <- has_several_types(rows)
  for (label in if (length(labels) == 2) labels[1] else labels) {
    rows$chosen <- rows$label == label
    formula <- if (several) chosen ~ sample_type + (1 | rater) + (1 | stimulus) else chosen ~ 1 + (1 | rater) + (1 | stimulus)
    cat("\nLabel '", label, "' against all others, log odds", if (several) " by type of sample", "\n", sep = "")
    attempt(paste0("Label '", label, "'"), {
      fit <- glmer(formula, rows, binomial, control = glmerControl(optimizer = "bobyqa"))
      print(coef(summary(fit)), digits = 4)
      spread <- as.data.frame(VarCorr(fit))
      cat("Standard deviations: raters ", format(spread$sdcor[spread$grp == "rater"], digits = 3), ", images ",
          format(spread$sdcor[spread$grp == "stimulus"], digits = 3), "\n", sep = "")
    })
  }
}

attempt <- function(what, work) tryCatch(work, error = function(problem) cat("\n", what, " cannot be fitted: ", conditionMessage(problem), "\n", sep = ""))

if (nrow(counted) == 0) {
  cat("No answer counts, so that there is nothing to fit.\n")
} else if (any(counted$task == "scale")) {
  attempt("Rating", fit_rating(counted))
} else if (any(counted$task == "label")) {
  attempt("Labels", fit_labels(counted))
} else if (any(counted$task == "emotion")) {
  if (GUIDING == "") cat("No classifier judged these faces, so that there is nothing to compare answers with.\n") else attempt("Choice", fit_choice(counted))
} else if (DISTANCE == "") {
  cat("No recogniser judged these pairs, so that there is no distance to compare answers with.\n")
} else {
  if (length(PAGE$coefficient) == 0) {
    cat("The page shows no model of similarity.", PAGE_NOTE, "\n")
  } else {
    attempt("Similarity", compare_with_page(fit_similarity(counted)))
  }
  attempt("Same person", fit_identity(counted))
}
